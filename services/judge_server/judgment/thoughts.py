"""The think sections of a text: what a model said to itself before, or between, what it said to others."""

import re

_TAG = re.compile(r"<(/?)think(?:ing)?>", re.IGNORECASE)


def without_thoughts(text: str) -> str:
    """Return a text without its think sections, trimmed; without any, as it is.

    A section ends at the first closing tag, as the reasoning parsers of inference servers have it. Chat templates that
    open the section in the prompt leave only the closing tag: all before it goes. A section that opens the text and
    is never closed goes too; a tag that is never closed after visible words is a word.
    """
    kept: list[str] = []
    start, opened = 0, -1
    for tag in _TAG.finditer(text):
        if not tag[1] and opened < 0:
            opened = tag.start()
        elif tag[1] and opened >= 0:
            kept.append(text[start:opened])
            start, opened = tag.end(), -1
        elif tag[1] and start == 0:
            start = tag.end()
    if opened >= 0 and not "".join([*kept, text[start:opened]]).strip():
        return ""
    return "".join([*kept, text[start:]]).strip() if start else text


def thoughts_end(text: str) -> int:
    """Return where a text goes on after the thoughts it opens with: 0 without any, its length when they never end."""
    tags = _TAG.finditer(text)
    first = next(tags, None)
    if first is None or first[1] or text[: first.start()].strip():
        return 0
    return next((tag.end() for tag in tags if tag[1]), len(text))
