"""Keep the terminal for the command itself."""

import os


def before_imports() -> None:
    """Set what transformers and the hub's library read when they are imported; what the environment says stays."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
