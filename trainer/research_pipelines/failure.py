"""Why a pipeline cannot go on."""

from long_work.command_error import CommandError


class PipelineError(CommandError):
    """The message is for the person who typed the command. `status` is the exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status
