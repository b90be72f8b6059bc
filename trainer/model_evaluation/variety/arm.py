"""What is compared: arms, each one way of training, of one model or of several that differ by their seed alone."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from model_evaluation.answers import contestant
from model_evaluation.answers.contestant import Contestant
from model_evaluation.evaluation_error import EvaluationError

NAMED = re.compile(r"(?P<arm>[\w.-]+)(?:@(?P<seed>[\w.-]+))?=(?P<source>.+)", re.DOTALL)


@dataclass(frozen=True)
class Arm:
    """One way of training.

    Attributes:
        models: by their seed, in the order of the seeds.
    """

    name: str
    models: dict[str, Contestant]


def arms(given: Sequence[str]) -> list[Arm]:
    """Return the arms that [ARM[@SEED]=]MODEL name, in the order given; seeds without a name are counted from 0.

    Raises:
        EvaluationError: there are no models, two of one arm and seed, arms that share no seeds, or one without its key.
    """
    found: dict[str, dict[str, Contestant]] = {}
    for text in given:
        named = NAMED.fullmatch(text)
        one = contestant.parsed(named["source"] if named else text)
        name = named["arm"] if named else one.name
        models = found.setdefault(name, {})
        seed = (named and named["seed"]) or str(len(models))
        if seed in models:
            raise EvaluationError(f"--model {text}: the arm {name!r} has a seed {seed!r} already; name them ARM@SEED=…")
        models[seed] = replace(one, name=f"{name}@{seed}")
    if not found:
        raise EvaluationError("--model is missing: give one model or more, [ARM[@SEED]=]MODEL")
    contestant.need_keys(one for models in found.values() for one in models.values())
    return _aligned([Arm(name, dict(sorted(models.items()))) for name, models in found.items()])


def _aligned(found: list[Arm]) -> list[Arm]:
    """Check that arms of several models are of the same seeds, so that they can be compared in pairs."""
    several = Counter(tuple(arm.models) for arm in found if len(arm.models) > 1)
    if len(several) > 1:
        said = "; ".join(f"{arm.name}: {', '.join(arm.models)}" for arm in found if len(arm.models) > 1)
        raise EvaluationError(f"arms are compared seed by seed, and theirs differ ({said}); give all of them the same")
    return found
