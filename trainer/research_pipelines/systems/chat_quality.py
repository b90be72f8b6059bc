"""chat quality by a reward model, half of whose scores are imputed: data, reward model, policy, training, comparison

The policy of the proof is trained from scratch on replies of mixed quality, and its reward is a Bradley-Terry head on
MiniLM; at the real size both are models of the hub. Each seed is trained twice: with imputation, and as an oracle that
scores everything and says what imputation would have got wrong.
"""

from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from research_pipelines.plan import Plan
from research_pipelines.stage import Stage

REWARDS = files("grpo_trainer") / "runs/rewards/chat_quality.toml"
MINILM = """[chat_quality]
kind = "reward_model"
model = "{model}"
text = "pair"
dtype = "float32"
max_tokens = 128
"""


HEAD = "--trained-layers 2 --learning-rate 5e-4"
"""How the proof's reward model is trained: its last layers are enough, and a CPU's time is not."""


class Amounts(NamedTuple):
    """How much of everything a size has."""

    pairs: int
    replies: int
    policy_steps: int
    hidden: int
    training_steps: int
    completions: int  # a step
    from_share: float  # of the steps, at which all is scored; behind it half is, while the gate is open
    compared: int


AMOUNTS = {
    "real": Amounts(0, 0, 0, 0, 300, 128, 0.2, 200),
    "proof": Amounts(1000, 8000, 500, 160, 60, 64, 0.1, 10),
    "smoke": Amounts(96, 1500, 60, 64, 8, 32, 0.25, 2),
}


def stages(plan: Plan) -> list[Stage]:
    amounts = AMOUNTS[plan.size]
    made = [] if plan.size == "real" else _made(plan, amounts)
    rewards = REWARDS.read_text(encoding="utf-8") if not made else MINILM.format(model=_reward(plan).resolve())
    runs = [
        _run(plan, amounts, rewards, run, seed)
        for seed in plan.seeds
        for run in ("chat_quality", "chat_quality_oracle")
    ]
    return [*made, *runs, _comparison(plan, amounts), _report(plan)]


def _made(plan: Plan, amounts: Amounts) -> list[Stage]:
    """Return the stages that make what a proof needs and the real size takes from the hub."""
    data, reward, policy = plan.out / "data", _reward(plan), plan.out / "policy"
    return [
        Stage(
            "data",
            words("reward-model data --out", data, "--pairs", amounts.pairs, "--replies", amounts.replies),
            tuple(data / f"{name}.jsonl" for name in ("preferences", "corpus", "prompts", "held_out")),
        ),
        Stage(
            "reward-model",
            words("reward-model train", data / "preferences.jsonl", "--out", reward, HEAD),
            (reward / "reward_model.json",),
        ),
        Stage(
            "small-model",
            words("small-model", data / "corpus.jsonl", "--out", policy, "--layers 3 --hidden", amounts.hidden)
            + words("--steps", amounts.policy_steps),
            (policy / "small_model.json",),
        ),
    ]


def _run(plan: Plan, amounts: Amounts, rewards: str, run: str, seed: int) -> Stage:
    out = _out(plan, run, seed)
    mine: tuple[str, ...] = ()
    if plan.size != "real":
        mine = ("--set", f"dataset.source={plan.out / 'data/prompts.jsonl'}")
    policy = plan.policy or ("" if plan.size == "real" else str(plan.out / "policy"))
    completions = amounts.training_steps * amounts.completions
    scored = completions if run.endswith("oracle") else round(completions * (1 + amounts.from_share) / 2)
    return Stage(
        out.name,
        words("train", run, "--size", plan.size, "--seed", seed, "--out", out, "--reward-url {reward_url}")
        + mine
        + (("--policy", policy) if policy else ()),
        (out / "report.html",),
        rewards=rewards,
        resume=("--resume",),
        resume_if=f"{out.name}/manifest.json",
        calls=scored,
        tokens=completions * (512 if plan.size == "real" else 40),
    )


def _comparison(plan: Plan, amounts: Amounts) -> Stage:
    """Return the stage that lets a judge compare the policy before and after the first seed's training.

    On questions that it was not trained on.
    """
    trained, out = _out(plan, "chat_quality", plan.seeds[0]), plan.out / "comparison"
    real = plan.size == "real"
    before = plan.policy or ("meta-llama/Llama-3.2-3B-Instruct" if real else str(plan.out / "policy"))
    prompts = "dataset:HuggingFaceH4/ultrachat_200k:test_sft" if real else str(plan.out / "data/held_out.jsonl")
    return Stage(
        "compare",
        (
            *("compare", "--model", f"before={before}", "--model", f"after={trained if real else trained / 'model'}"),
            *("--prompts", prompts),
            *words("--num", amounts.compared, "--max-tokens", 512 if real else 64),
            *words("--judge-url {judge_url} --out", out),
        ),
        (out / "report.json",),
        judge=True,
        calls=2 * amounts.compared,
        tokens=2 * amounts.compared * (1500 if real else 300),
    )


def _report(plan: Plan) -> Stage:
    runs = [str(_out(plan, run, seed)) for run in ("chat_quality", "chat_quality_oracle") for seed in plan.seeds]
    beside = () if plan.size == "real" else ("--also", str(_reward(plan) / "reward_model.json"))
    out = plan.out / "report"
    return Stage(
        "report", ("imputation", *runs, *beside, "--out", str(out)), (out / "report.html", out / "report.json")
    )


def words(*parts: str | int | Path) -> tuple[str, ...]:
    """Return the arguments of a command: a text is cut at its spaces, a path and a number are one word."""
    return tuple(word for part in parts for word in (part.split() if isinstance(part, str) else [str(part)]))


def _out(plan: Plan, run: str, seed: int) -> Path:
    return plan.out / f"{run}-{seed}"


def _reward(plan: Plan) -> Path:
    return plan.out / "reward_model"
