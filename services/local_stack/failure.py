"""Why a stack cannot run, in words that say what to do."""


class StackError(RuntimeError):
    """The stack did not come up, or came down by itself; the message is for the person who started it."""
