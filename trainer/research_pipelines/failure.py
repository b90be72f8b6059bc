"""Why a pipeline cannot go on."""


class PipelineError(Exception):
    """The message is for the person who typed the command. `status` is the exit status."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status
