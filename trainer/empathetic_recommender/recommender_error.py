"""What a command says instead of a traceback."""

from long_work.command_error import CommandError


class RecommenderError(CommandError):
    """A model, an endpoint or a server cannot do what was asked of it."""
