"""What answers depend on, as it is claimed beside them: the same row of another model has another answer."""

import argparse
from hashlib import sha256
from typing import Any

from empathetic_recommender.user_model import RULE
from empathetic_recommender.user_prompt import PROMPT
from long_work import content_digest, model_digest


def replies(options: argparse.Namespace) -> dict[str, Any]:
    """Return what a policy's replies to the dialogues depend on.

    Raises:
        CommandError: the model's folder cannot be read.
    """
    return {
        "model": model_digest.of(options.model, options.hub_revision),
        "dialogues": content_digest.of(options.dialogues),
        "max_tokens": options.max_tokens,
        "temperature": options.temperature,
        "seed": options.seed,
    }


def simulated(options: argparse.Namespace) -> dict[str, Any]:
    """Return what simulated dialogues depend on; raises as `replies` does.

    An endpoint does not say which weights it serves: its user is known by name only.
    """
    found = replies(options) | {"max_turns": options.max_turns}
    if options.user == RULE:
        return found | {"user": RULE}
    user = (
        f"{options.user} at {options.user_url}"
        if options.user_url
        else model_digest.of(options.user, options.user_revision)
    )
    return found | {"user": user, "user_prompt": sha256(PROMPT.encode()).hexdigest()}
