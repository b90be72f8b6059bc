"""The program that a completion and its tests are: it is right when it runs to its last line."""

import re

FENCED = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:\n```|\Z)", re.DOTALL | re.IGNORECASE)


def code(completion: str) -> str:
    """Return the completion's first fenced block of code, or all of it where there is none."""
    block = FENCED.search(completion)
    return block[1] if block else completion


def program(completion: str, tests: str, before: str, done: str) -> str:
    """Return what is run.

    Args:
        before: what the completion continues, such as a function's head; may be empty.
        done: printed at the very end: an early exit(0) does not pass for success.
    """
    return f"{before}{code(completion)}\n\n{tests}\n\nprint({done!r})\n"
