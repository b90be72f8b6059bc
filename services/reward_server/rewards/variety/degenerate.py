"""Tell completions that are no answer at all: empty ones, refusals, and those off the format asked for."""

import re
from collections.abc import Sequence

OPENING = 300
"""Characters of a completion in which a refusal is looked for: a refusal says so at once."""
REFUSAL = (
    r"(?i)\A\W*(?:(?:(?:i['’]?m|i am|we['’]?re|we are) (?:very |so )?sorry|sorry|i apologi[sz]e|unfortunately|"
    r"as an ai\b[^,.!?]*)[\W]*(?:but )?)?"
    r"(?:i|we)(?: can['’]?t| cannot| can not| could ?n['’]t| am unable to|['’]?m unable to| am not able to|"
    r"['’]?m not able to| won['’]?t| will not) "
    r"(?:assist|help|comply|fulfil+|provide|answer|do that|discuss|create|generate|write|engage)\b"
)
"""An English completion that opens with being unable or unwilling to answer."""


def degenerate(text: str, required_format: str | None = None, refusals: Sequence[str] = (REFUSAL,)) -> bool:
    """Return whether a completion is empty, opens with a refusal, or does not match the required format as a whole.

    Args:
        text: the completion.
        required_format: a regular expression, whose `.` matches line ends too.
        refusals: regular expressions.
    """
    if not text.strip():
        return True
    if required_format is not None and not re.fullmatch(required_format, text, re.DOTALL):
        return True
    return any(re.search(refusal, text[:OPENING]) for refusal in refusals)
