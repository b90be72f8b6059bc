"""Numbers of a command line, as `type=` of argparse; what is NaN or infinite is none."""

import argparse
import math
from collections.abc import Callable


def finite(text: str) -> float:
    return _number(text, "a number", lambda _: True)


def from_zero(text: str) -> float:
    return _number(text, "a number from 0 on", lambda number: number >= 0)


def above_zero(text: str) -> float:
    return _number(text, "a number above 0", lambda number: number > 0)


def share(text: str) -> float:
    return _number(text, "a share from 0 to 1", lambda number: 0 <= number <= 1)


def share_above_zero(text: str) -> float:
    return _number(text, "a share above 0, and 1 at most", lambda number: 0 < number <= 1)


def _number(text: str, wanted: str, fits: Callable[[float], bool]) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and fits(number)):
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
    return number
