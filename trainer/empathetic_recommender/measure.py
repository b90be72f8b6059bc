"""`guerdon recommender metrics FILE`: all metrics of replies and rankings that are already there."""

import argparse
import json

from empathetic_recommender.evaluate import metrics
from long_work import json_file

COLUMNS = ("reply", "reference", "titles", "relevant", "liked")


def run(options: argparse.Namespace) -> int:
    """Print the metrics as JSON; return 0.

    Raises:
        CommandError: the file is not as it should be.
    """
    print(json.dumps(metrics(json_file.read_rows(options.file, COLUMNS)), indent=1))
    return 0
