"""What cannot be imputed, known before anything is loaded."""

from collections.abc import Mapping


def refusal(name: str, scopes: Mapping[str, str]) -> str | None:
    """Return why this reward cannot be imputed; None where it can."""
    if scopes[name] == "group":
        return (
            f"[imputation] {name} scores a group as a whole, so that no part of a group can be scored without the "
            "rest; impute a reward that scores completions one by one, or leave [imputation] out"
        )
    return None
