"""The program that a completion and its tests are: it is right when it runs to its last line.

Completion and tests share one interpreter, so that nothing here can stop a completion that wants to deceive: it can
read in its own program what the last line would print, print that and leave, or return what is equal to everything.
What is seen of the former is told, for people to look at.
"""

import re

FORM = "2"
"""Of what is put around completion and tests; a program of another form may have another verdict."""
FENCED = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:\n```|\Z)", re.DOTALL | re.IGNORECASE)

FORGEABLE = "a completion that reads its own program could forge its success; those that seem to are counted"
OWN_PROGRAM = re.compile(
    r"__file__|__loader__|__spec__|import __main__|/proc/|program\.py|\b(?:argv|orig_argv|inspect|getsource\w*"
    r"|linecache|_getframe|currentframe|co_consts|settrace|setprofile|get_objects|listdir|scandir|iterdir|_exit)\b"
)
"""By what a program finds itself in memory or on disk, or ends before its last line. Their absence proves nothing: a
name need not be spelled out."""


def code(completion: str) -> str:
    """Return the completion's first fenced block of code, or all of it where there is none."""
    block = FENCED.search(completion)
    return block[1] if block else completion


def program(completion: str, tests: str, before: str, done: str) -> str:
    """Return what is run.

    Args:
        before: what the completion continues, such as a function's head; may be empty.
        done: printed at the very end: an early exit(0) does not pass for success. It stands on a line of its own and
            reaches the standard output of the interpreter, whatever was printed without a newline, redirected or named
            `print` before.
    """
    last = f"\n{done}\n"
    return f"{before}{code(completion)}\n\n{tests}\n\n__import__('sys').__stdout__.write({last!r})\n"


def suspicion(completion: str) -> str | None:
    """Return by which word a completion seems to read its own program, or to leave before the tests; None: by none."""
    found = OWN_PROGRAM.search(code(completion))
    return found[0] if found else None
