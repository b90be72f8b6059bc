"""Keep the terminal for the run itself, and prompts and completions out of logs."""

import logging
import os
import warnings

UNSCORED = "All reward functions returned None"
"""What TRL's warning says that prints a failed row's prompt and completion."""


def before_imports() -> None:
    """Set what libraries read when they are imported; what the environment says already stays."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # the tokenizer is used before workers fork
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    warnings.filterwarnings("ignore", module=r"(transformers|trl|peft|torch)\b")


def after_imports() -> None:
    import datasets
    import transformers

    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    datasets.disable_progress_bars()
    logging.getLogger("trl.trainer.grpo_trainer").addFilter(shows_no_completion)


def shows_no_completion(record: logging.LogRecord) -> bool:
    """Refuse TRL's warning about unscored rows: RemoteReward warns of them too, without their text."""
    return UNSCORED not in str(record.msg)  # accelerate puts the rank before it
