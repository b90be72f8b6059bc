"""Text that UTF-8 can hold. JSON can hold more: half of a surrogate pair, written as an escape."""


def encodable(text: str) -> str:
    """Return a text of the same length with a question mark for each half of a surrogate pair."""
    return text.encode("utf-8", "replace").decode()
