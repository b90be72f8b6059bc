"""an empathetic recommender, rewarded by a critic that was trained on labelled replies: data, labels, critic, policy

Dialogues about films whose replies are of known quality; labels of two labelers with declared noise (at the real size:
of a judge); a critic of several heads, trained on them, examined, and served; a policy trained against it. Before and
after: what the critic says on held-out dialogues, all metrics, and a simulated user who never sees the critic.
"""

from pathlib import Path
from typing import NamedTuple

from research_pipelines.plan import Plan
from research_pipelines.stage import Stage

CRITIC = """[critic]
kind = "critic"
model = "{model}"
"""
REAL_POLICY = "Qwen/Qwen2.5-1.5B-Instruct"
REAL_USER = "Qwen/Qwen2.5-7B-Instruct"
REVISION = "main"
"""Of the hub models."""
RULE = "rule"
"""Plays the seeker where there is no large model: one of a million weights accepts films that do not fit."""

EVALUATED = ("metrics.json", "scored.jsonl", "replies.jsonl", "replies.made_of.json")
SIMULATED = ("simulation.json", "simulated.jsonl", "simulated.made_of.json")
"""All that the two leave in the folder that they share: a stage done anew begins without what it left before."""


class Amounts(NamedTuple):
    """How much of everything a size has."""

    train: int  # dialogues
    labelled: int
    held_out: int
    policy_steps: int  # of the small model
    hidden: int
    completions: int  # of the training, in all
    evaluated: int  # replies
    simulated: int  # dialogues


AMOUNTS = {
    "real": Amounts(8000, 4000, 400, 0, 0, 128_000, 400, 300),
    "proof": Amounts(6000, 2000, 300, 500, 128, 60 * 32, 300, 200),
    "smoke": Amounts(600, 160, 24, 60, 64, 4 * 16, 16, 8),
}


def stages(plan: Plan) -> list[Stage]:
    amounts = AMOUNTS[plan.size]
    real = plan.size == "real"
    made = [] if real else [_small_policy(plan, amounts)]
    arms = [plan.out / f"after-{seed}" for seed in plan.seeds]
    found = [_data(plan, amounts), *_labels(plan, real), *_critic(plan), *made]
    found += _arm(plan, amounts, _policy(plan), plan.out / "before")
    for seed, arm in zip(plan.seeds, arms, strict=True):
        run = plan.out / f"recommender-{seed}"
        found.append(_training(plan, amounts, seed, run))
        found += _arm(plan, amounts, str(run / ("adapter" if real else "model")), arm)
    return [*found, _report(plan, arms)]


def _data(plan: Plan, amounts: Amounts) -> Stage:
    data = plan.out / "data"
    numbers = ("--train", str(amounts.train), "--labelled", str(amounts.labelled), "--held-out", str(amounts.held_out))
    names = ("train", "labelled", "held_out", "policy_corpus", "user_corpus")
    return Stage(
        "data",
        ("recommender", "dialogues", "--out", str(data), *numbers),
        (*(data / f"{name}.jsonl" for name in names), data / "data.json"),
    )


def _labels(plan: Plan, real: bool) -> list[Stage]:
    """Return the stages that label; synthetic labels go the way of a judge's: the same α, the same merge."""
    who = ("--labeler", "judge") if real else ("--labeler", "column:first", "--labeler", "column:second")
    url = ("--judge-url", "{judge_url}") if real else ()
    rows = {"labelled": 2 * AMOUNTS[plan.size].labelled, "held_out": 2 * AMOUNTS[plan.size].held_out}
    return [
        Stage(
            f"label {name}",
            ("critic", "label", str(plan.out / f"data/{name}.jsonl"), "--out", str(_labelled(plan, name)), *who, *url),
            (_labelled(plan, name) / "labels.jsonl", _labelled(plan, name) / "agreement.json"),
            judge=real,
            calls=count if real else 0,
            tokens=800 * count if real else 0,
        )
        for name, count in rows.items()
    ]


def _critic(plan: Plan) -> list[Stage]:
    critic, out = plan.out / "critic", plan.out / "critic-examined"
    labels, held_out = (str(_labelled(plan, name) / "labels.jsonl") for name in ("labelled", "held_out"))
    return [
        Stage(
            "critic",
            ("critic", "train", "critic", "--size", plan.size, "--labels", labels, "--out", str(critic)),
            (critic / "heads.json", critic / "heads.safetensors", critic / "training.json"),
        ),
        Stage(
            "critic eval",
            ("critic", "eval", str(critic), "--labels", held_out, "--out", str(out)),
            (out / "report.html", out / "report.json"),
        ),
    ]


def _small_policy(plan: Plan, amounts: Amounts) -> Stage:
    corpus, out = plan.out / "data/policy_corpus.jsonl", plan.out / "policy"
    shape = ("--steps", str(amounts.policy_steps), "--hidden", str(amounts.hidden), "--layers", "3")
    return Stage(
        "small-model policy", ("small-model", str(corpus), "--out", str(out), *shape), (out / "small_model.json",)
    )


def _training(plan: Plan, amounts: Amounts, seed: int, run: Path) -> Stage:
    train, held_out = plan.out / "data/train.jsonl", plan.out / "data/held_out.jsonl"
    data = ("--set", f"dataset.path={train}", "--set", f"dataset.validation_path={held_out}")
    rest = ("--out", str(run), "--reward-url", "{reward_url}", *data)
    return Stage(
        run.name,
        ("train", "recommender", "--size", plan.size, "--seed", str(seed), "--policy", _policy(plan), *rest),
        (run / "report.html",),
        rewards=_served(plan),
        resume=("--resume",),
        resume_if=f"{run.name}/manifest.json",
        calls=amounts.completions,
        tokens=amounts.completions * (400 if plan.size == "real" else 100),
    )


def _arm(plan: Plan, amounts: Amounts, model: str, out: Path) -> list[Stage]:
    """Return the stages that evaluate one policy on held-out dialogues, and let it talk to the simulated user."""
    real = plan.size == "real"
    pinned = ("--hub-revision", REVISION) if real else ()
    asked = ("--model", model, *pinned, "--dialogues", str(plan.out / "data/held_out.jsonl"), "--out", str(out))
    user_pinned = ("--user-revision", REVISION) if real else ()
    user = REAL_USER if real else RULE
    replies, turns = amounts.evaluated, 3 * amounts.simulated
    return [
        Stage(
            f"evaluate {out.name}",
            ("recommender", "evaluate", *asked, "--rows", str(replies), "--reward-url", "{reward_url}"),
            tuple(out / name for name in EVALUATED),
            rewards=_served(plan),
            calls=2 * replies,
            tokens=300 * replies,
        ),
        Stage(
            f"simulate {out.name}",
            ("recommender", "simulate", *asked, "--rows", str(amounts.simulated), "--user", user, *user_pinned),
            tuple(out / name for name in SIMULATED),
            calls=2 * turns,
            tokens=400 * turns,
        ),
    ]


def _report(plan: Plan, arms: list[Path]) -> Stage:
    out = plan.out / "report"
    runs = [str(plan.out / f"recommender-{seed}") for seed in plan.seeds]
    trained = ("--after", *map(str, arms), "--training", *runs)
    return Stage(
        "report",
        ("recommender", "report", "--before", str(plan.out / "before"), *trained, "--out", str(out)),
        (out / "report.html", out / "report.json"),
    )


def _served(plan: Plan) -> str:
    return CRITIC.format(model=(plan.out / "critic").resolve())


def _policy(plan: Plan) -> str:
    return plan.policy or (REAL_POLICY if plan.size == "real" else str(plan.out / "policy"))


def _labelled(plan: Plan, name: str) -> Path:
    return plan.out / f"labels-{name}"
