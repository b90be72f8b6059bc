"""The mean reward of a training by step: read from its ledger, and drawn beside those of other seeds."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from empathetic_recommender.recommender_error import RecommenderError
from long_work import json_file


def read(folder: Path) -> dict[str, Any]:
    """Return the mean reward by step of a training run's ledger.

    Raises:
        CommandError: the folder holds none.
    """
    ledger = folder / "metrics.jsonl"
    if not ledger.exists():
        raise RecommenderError(f"{ledger} is not there: --training names folders of `guerdon train`")
    rewards = [step["reward"] for step in json_file.read_rows(ledger, ("reward",))]
    if not all(isinstance(one, dict) and "mean" in one for one in rewards):
        raise RecommenderError(f"{ledger} is no ledger of `guerdon train`: a row's reward has no mean")
    return {"run": folder.name, "reward": [one["mean"] for one in rewards]}


def picture(runs: Sequence[Mapping[str, Any]]) -> str:
    """Return a data URI of all curves; "" where there is none."""
    if not runs:
        return ""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    data = io.BytesIO()
    with mpl.rc_context({"text.parse_math": False}):  # names are text: a$\\frac$b is no formula
        figure, axes = plt.subplots(figsize=(8, 3), layout="constrained")
        for run in runs:
            values = [np.nan if value is None else value for value in run["reward"]]
            name = f" {run['run']}"  # a legend leaves out what begins with _
            axes.plot(range(1, len(values) + 1), values, lw=1.2, label=name)
        axes.set(xlabel="step", ylabel="mean reward of the step")
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, fontsize=8)
        figure.savefig(data, format="png", dpi=110)
    plt.close(figure)
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"
