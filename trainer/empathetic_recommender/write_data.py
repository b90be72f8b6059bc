"""`guerdon recommender dialogues`: every file that a critic, a policy and a simulated user are made of."""

import argparse

from empathetic_recommender.film_dialogues import corpora
from empathetic_recommender.film_dialogues.dialogues import rows
from empathetic_recommender.film_dialogues.noise import HALF_WIDTHS, LABELERS, labelled, variance
from long_work import json_file


def run(options: argparse.Namespace) -> int:
    """Write train, labelled and held_out rows, which share no dialogue, and the corpora; return 0.

    Raises:
        CommandError: they cannot be written.
    """
    first = options.train + options.labelled
    train = rows(options.train, options.seed)
    labels = labelled(rows(options.labelled, options.seed, options.train), options.seed)
    held_out = labelled(rows(options.held_out, options.seed, first), options.seed + 1)
    written = {
        "train": train,
        "labelled": labels,
        "held_out": held_out,
        "policy_corpus": corpora.of_policy(train),
        "user_corpus": corpora.of_user(train),
    }
    for name, some in written.items():
        json_file.write_rows(options.out / f"{name}.jsonl", some)
    json_file.write(
        options.out / "data.json",
        {
            "seed": options.seed,
            "rows": {name: len(some) for name, some in written.items()},
            "noise": {
                "kind": "uniform, of each labeler",
                "half_width": HALF_WIDTHS,
                "variance_of_the_mean_label": {name: variance(name, len(LABELERS)) for name in HALF_WIDTHS},
            },
        },
    )
    print(f"{options.out}: " + ", ".join(f"{name} {len(some)}" for name, some in written.items()))
    return 0
