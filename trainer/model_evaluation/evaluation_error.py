"""What stops an evaluation before it costs anything, in words for the person who started it."""

from long_work.command_error import CommandError


class EvaluationError(CommandError):
    """The evaluation cannot be done as it was asked for; the message says what was wrong and what would work."""
