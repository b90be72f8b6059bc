"""`guerdon recommender metrics FILE`: all metrics of replies and rankings that are already there."""

import argparse
import json

from empathetic_recommender import scored_reply
from empathetic_recommender.evaluate import metrics


def run(options: argparse.Namespace) -> int:
    """Print the metrics as JSON; return 0.

    Raises:
        CommandError: the file is not as it should be.
    """
    print(json.dumps(metrics(scored_reply.read(options.file)), indent=1, allow_nan=False))
    return 0
