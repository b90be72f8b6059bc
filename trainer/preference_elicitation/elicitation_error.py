"""What a command says instead of a traceback."""

from long_work.command_error import CommandError


class ElicitationError(CommandError):
    """A model, a server, a file or the settings are not as a command of this package needs them."""
