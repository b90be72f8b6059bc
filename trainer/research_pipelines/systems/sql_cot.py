"""SQL-CoT: a policy learns to score how well a chain of thought fits its SQL, and then filters rows.

Rows with targets, some of their queries held out; at proof and smoke size a starter, trained from scratch on other
queries whose scores are mostly shuffled; GRPO per seed against the served reward; agreement with the held-out targets
before and after; the held-out rows that the trained policy keeps.
"""

from dataclasses import dataclass
from pathlib import Path

from research_pipelines.plan import Plan, Size
from research_pipelines.stage import Stage

REWARDS = '[sql_cot]\nkind = "sql_cot"\n'
HUB = "Qwen/Qwen2.5-0.5B-Instruct"


@dataclass(frozen=True)
class Scale:
    """How much of everything a size takes.

    Attributes:
        rows: with targets, for training and validation.
        corpus: rows of other queries for the starter; 0 where the policy comes from a hub.
        starter: options of `guerdon small-model`.
        completions: of one training run, expected.
        tokens: of a prompt and its completion together, about.
        samples: completions a row in the evaluation.
    """

    rows: int
    held_out: float
    corpus: int
    starter: str
    completions: int
    tokens: int
    samples: int
    threshold: float = 0.78


SCALES: dict[Size, Scale] = {
    "real": Scale(480, 0.1, 0, "", 4 * 432, 450, 4),
    "proof": Scale(4000, 0.075, 7000, "--steps 380 --batch 32 --hidden 128 --layers 2", 256 * 60, 120, 4),
    "smoke": Scale(240, 0.2, 400, "--steps 100 --batch 16 --hidden 64 --learning-rate 0.006", 16 * 4, 120, 2),
}


def stages(plan: Plan) -> list[Stage]:
    scale = SCALES[plan.size]
    found = [_rows(plan, scale)]
    if scale.corpus and plan.policy is None:
        found += _starter(plan, scale)
    for seed in plan.seeds:
        found += [_train(plan, scale, seed), _evaluate(plan, scale, seed)]
    return [*found, _filter(plan, scale)]


def _rows(plan: Plan, scale: Scale) -> Stage:
    train, held_out = plan.out / "train.jsonl", plan.out / "held_out.jsonl"
    options = f"--rows {scale.rows} --seed 0 --targets --held-out-share {scale.held_out}".split()
    command = ("sqlcot", "build", *options, "--held-out", str(held_out), "--out", str(train))
    return Stage("rows", command, (train, held_out))


def _starter(plan: Plan, scale: Scale) -> list[Stage]:
    rows, corpus, starter = plan.out / "corpus_rows.jsonl", plan.out / "corpus.jsonl", plan.out / "starter"
    options = f"--rows {scale.corpus} --seed 1 --targets".split()
    others = ("--without", str(plan.out / "train.jsonl"), "--without", str(plan.out / "held_out.jsonl"))
    shuffled = ("--informative", "0.5", "--out", str(corpus))
    return [
        Stage("corpus-rows", ("sqlcot", "build", *options, *others, "--out", str(rows)), (rows,)),
        Stage("corpus", ("sqlcot", "corpus", str(rows), *shuffled), (corpus,)),
        Stage(
            "starter",
            ("small-model", str(corpus), "--out", str(starter), *scale.starter.split()),
            (starter / "small_model.json",),
        ),
    ]


def _train(plan: Plan, scale: Scale, seed: int) -> Stage:
    out = _run(plan, seed)
    size = () if plan.size == "real" else ("--size", plan.size)
    rows = {"path": plan.out / "train.jsonl", "validation_path": plan.out / "held_out.jsonl"}
    settings = (word for name, path in rows.items() for word in ("--set", f"dataset.{name}={path.resolve()}"))
    return Stage(
        f"train-{seed}",
        (
            *("train", "sql_cot", *size, "--policy", _policy(plan), "--seed", str(seed), "--out", str(out)),
            *("--reward-url", "{reward_url}", *settings),
        ),
        (out / "report.html",),
        rewards=REWARDS,
        resume=("--resume",),
        resume_if=f"{out.name}/manifest.json",
        calls=scale.completions,
        tokens=scale.completions * scale.tokens,
    )


def _evaluate(plan: Plan, scale: Scale, seed: int) -> Stage:
    out, held_out = plan.out / f"evaluation-{seed}", int(scale.rows * scale.held_out)
    models = ("--model", f"before={_policy(plan)}", "--model", f"after={_run(plan, seed)}")
    drawing = ("--samples", str(scale.samples), "--seed", str(seed), *_asked(plan))
    calls = 2 * held_out * scale.samples
    return Stage(
        f"evaluate-{seed}",
        ("sqlcot", "evaluate", str(plan.out / "held_out.jsonl"), *models, *drawing, "--out", str(out)),
        (out / "evaluation.json", out / "evaluation.html"),
        calls=calls,
        tokens=calls * scale.tokens,
    )


def _filter(plan: Plan, scale: Scale) -> Stage:
    out, calls = plan.out / "filtered", int(scale.rows * scale.held_out)
    return Stage(
        "filter",
        (
            *("sqlcot", "filter", str(plan.out / "held_out.jsonl"), "--threshold", str(scale.threshold)),
            *("--model", str(_run(plan, plan.seeds[0])), "--out", str(out)),
        ),
        (out / "summary.json",),
        calls=calls,
        tokens=calls * scale.tokens,
    )


def _run(plan: Plan, seed: int) -> Path:
    return plan.out / f"run-{seed}"


def _policy(plan: Plan) -> str:
    if plan.policy is not None:
        return plan.policy
    return HUB if plan.size == "real" else str((plan.out / "starter").resolve())


def _asked(plan: Plan) -> tuple[str, ...]:
    """Return how the policy before is asked: as the run asks it, which the policy after says itself."""
    return ("--prompt", "instruct") if plan.size == "real" else ("--prompt", "short", "--max-tokens", "40")
