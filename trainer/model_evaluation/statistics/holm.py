"""Hold the chance of any false alarm at 5% when several pairs or criteria are tested at once."""

from collections.abc import Mapping

from statsmodels.stats.multitest import multipletests


def holm(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Return the p-values adjusted by Holm (1979), by name; those that do not exist stay None and do not count."""
    known = {name: p for name, p in p_values.items() if p is not None}
    if not known:
        return dict(p_values)
    adjusted = multipletests(list(known.values()), method="holm")[1]
    return dict(p_values) | {name: float(p) for name, p in zip(known, adjusted, strict=True)}
