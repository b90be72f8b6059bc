"""How numbers are written for people: a dash where there is none, as many digits as they deserve."""

import re
from collections.abc import Mapping
from typing import Any

NONE = "–"
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def plain(text: str) -> str:
    """Return a text that any terminal and font can take: control characters and lone surrogates are marked by �."""
    return UNPRINTABLE.sub("�", text)


def capitalised(sentence: str) -> str:
    """Return a sentence with a capital letter in front, unless it begins with a model's name."""
    begins = sentence.startswith(("no difference", "the judge"))
    return sentence[0].upper() + sentence[1:] if begins else sentence


def number(value: float | None, digits: int = 2) -> str:
    return NONE if value is None else f"{value:.{digits}f}".replace("-", "−")


def percent(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.1f}%".replace("-", "−")


def p_value(test: Mapping[str, Any]) -> str:
    p = test["p"]
    return test["reason"] or NONE if p is None else "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def interval(estimate: Mapping[str, Any], *, share: bool = False, digits: int = 2) -> str:
    """Return `[low, high]` of an estimate or win rate; nothing where it has none."""
    found = estimate["interval"]
    if not found:
        return ""
    low, high = (percent(found[end]) if share else number(found[end], digits) for end in ("low", "high"))
    return f"[{low}, {high}]"


def estimate(value: Mapping[str, Any], *, share: bool = False) -> str:
    """Return an estimate with its interval, or why there is none."""
    if value["value"] is None:
        return f"{NONE} ({value['reason']})"
    shown = percent(value["value"]) if share else number(value["value"])
    return f"{shown} {interval(value, share=share)}".strip()


def precise(value: Mapping[str, Any]) -> str:
    """Return an estimate with three digits: differences of shares are small."""
    if value["value"] is None:
        return f"{NONE} ({value['reason']})"
    return f"{number(value['value'], 3)} {interval(value, digits=3)}".strip()


def money(usage: Mapping[str, Any]) -> str:
    if usage["cost"] is None:
        return NONE
    return f"{usage['cost']:.4f} {usage['currency']}" if usage["cost"] else f"0 {usage['currency']}"


def asked(usage: Mapping[str, Any]) -> str:
    """Return how many calls an evaluation rests on; all of them were paid before where it booked no token itself."""
    calls = f"{usage['calls']:,} {'call' if usage['calls'] == 1 else 'calls'}"
    return f"{calls}, answered from the ledger" if usage["calls"] and usage["tokens"] == 0 else calls


def by_status(failures: Mapping[str, int]) -> str:
    """Return failures as `judge_refused 1, judge_timeout 2`."""
    return ", ".join(f"{status} {times}" for status, times in failures.items())
