"""What is told to the person who gave a command, instead of a traceback."""


class CommandError(Exception):
    """The command cannot do what it was asked; the message says what was wrong, where, and what would have worked."""
