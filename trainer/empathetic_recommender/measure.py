"""`guerdon recommender metrics FILE`: all metrics of replies and rankings that are already there."""

import argparse
import json

from empathetic_recommender import files
from empathetic_recommender.evaluate import metrics

COLUMNS = ("reply", "reference", "titles", "relevant", "liked")


def run(options: argparse.Namespace) -> int:
    """Print the metrics as JSON; return 0.

    Raises:
        RecommenderError: the file is not as it should be.
    """
    print(json.dumps(metrics(files.read(options.file, COLUMNS)), indent=1))
    return 0
