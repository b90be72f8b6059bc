"""What a command says instead of a traceback."""

from long_work.command_error import CommandError


class CriticError(CommandError):
    """A file of replies, a critic file, a labeler or a critic is not as it should be."""
