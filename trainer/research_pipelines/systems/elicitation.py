"""A policy learns to ask the question whose answer tells most about a persona's preferences."""

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from research_pipelines.plan import Plan
from research_pipelines.stage import Stage

POLICY = "Qwen/Qwen2.5-1.5B-Instruct"
WORLD = "Qwen/Qwen2.5-7B-Instruct"
"""Who answers, labels and predicts."""
REVISION = "main"
"""Of the hub models; an operator who wants to pin them serves a rewards.toml of their own and gives --reward-url."""
LARGE, SMALL = 120, 70
"""Tokens of a pair of descriptions, and of a pair in single words."""


MADE = ("world.jsonl", "questioner.jsonl", "items.json", "personas.json", "phrases.json")
"""What the small models are made of."""


class Size(NamedTuple):
    """How much of everything."""

    personas: str
    scenarios: int
    max_depth: int
    held_out: int
    prompts: int
    pairs: int
    completions: int
    world_rows: int
    world_steps: int
    questioner_steps: int
    probed: int
    draws: int
    best_of: int
    pair_tokens: int


SIZES = {
    "real": Size("all", 10, 3, 4, 800, 20, 640 * 2 * 3, 0, 0, 0, 160, 2, 8, LARGE),
    "proof": Size("all", 10, 3, 5, 800, 12, 60 * 32, 30_000, 1000, 250, 60, 2, 4, SMALL),
    "smoke": Size("4", 2, 1, 1, 16, 16, 2 * 8, 4000, 100, 120, 4, 1, 2, SMALL),
}


def stages(plan: Plan) -> list[Stage]:
    """Return every stage: small models (but for the real size), prompts, a training per seed, probe, report."""
    size = SIZES[plan.size]
    real = plan.size == "real"
    policy = plan.policy or (POLICY if real else str(plan.out / "questioner"))
    world = WORLD if real else str(plan.out / "world")
    rewards = _rewards(plan, size, world)
    return [
        *([] if real else _small_models(plan, size)),
        *([_check(plan)] if plan.size == "proof" else []),
        _collect(plan, size, policy, world),
        *(_train(plan, size, policy, rewards, seed) for seed in plan.seeds),
        _probe(plan, size, policy, rewards),
        Stage(
            "report",
            ("probe", "--report", "--out", str(plan.out / "probe")),
            (plan.out / "probe/report.html", plan.out / "probe/report.json"),
        ),
    ]


def _small_models(plan: Plan, size: Size) -> list[Stage]:
    corpus = plan.out / "corpus"
    rows = ("--world-rows", str(size.world_rows))
    shape = ("--hidden", "128", "--context", "384", "--vocabulary", "800", "--initial-std", "0.09")
    world = ("--layers", "3", "--steps", str(size.world_steps), "--batch", "64", "--learning-rate", "1.5e-3")
    phrases = ("--phrases", str(corpus / "phrases.json"))
    asks = ("--layers", "2", "--steps", str(size.questioner_steps), "--batch", "32")
    return [
        Stage(
            "corpus",
            ("collect", "--corpus", "--out", str(corpus), *rows),
            tuple(corpus / name for name in MADE),
        ),
        Stage(
            "world",
            ("small-model", str(corpus / "world.jsonl"), "--out", str(plan.out / "world"), *shape, *world, *phrases),
            (plan.out / "world/small_model.json",),
        ),
        Stage(
            "questioner",
            ("small-model", str(corpus / "questioner.jsonl"), "--out", str(plan.out / "questioner"), *shape, *asks),
            (plan.out / "questioner/small_model.json",),
        ),
    ]


def _check(plan: Plan) -> Stage:
    """Stop before a policy is trained in a world that has not learnt to label and to predict."""
    command = ("collect", "--check-world", str(plan.out / "world"), "--out", str(plan.out / "check"))
    return Stage("check", command, (plan.out / "check/world.json",))


def _collect(plan: Plan, size: Size, policy: str, world: str) -> Stage:
    revisions = ("--questioner-revision", REVISION, "--participant-revision", REVISION)
    own = revisions if plan.size == "real" else ("--persona-file", str(plan.out / "corpus/personas.json"))
    turns = size.prompts * size.max_depth // (size.max_depth + 1)
    return Stage(
        "collect",
        (
            *("collect", "--out", str(plan.out / "prompts"), "--questioner", policy, "--participant", world, *own),
            *("--personas", size.personas, "--scenarios", str(size.scenarios), "--max-depth", str(size.max_depth)),
            *("--held-out", str(size.held_out), "--may-give-up", "1" if plan.size == "smoke" else "0.05"),
        ),
        (plan.out / "prompts/prompts.jsonl", plan.out / "prompts/README.md"),
        calls=2 * turns,
        tokens=2 * turns * 250,
    )


def _train(plan: Plan, size: Size, policy: str, rewards: str, seed: int) -> Stage:
    out = plan.out / f"train/{seed}"
    prompts = plan.out / "prompts/prompts.jsonl"
    chosen = () if plan.size == "real" else ("--size", plan.size)
    return Stage(
        f"train {seed}",
        (
            *("train", "elicitation", *chosen, "--policy", policy, "--seed", str(seed), "--out", str(out)),
            *("--reward-url", "{reward_url}", "--set", f'dataset.path="{prompts}"', "--set", "output.merged=true"),
        ),
        (out / "report.html", out / ("merged" if plan.size == "real" else "model") / "config.json"),
        rewards=rewards,
        resume=("--resume",),
        resume_if=f"train/{seed}/manifest.json",
        calls=size.completions * (1 + 4 * size.pairs),
        tokens=size.completions * (300 + 4 * size.pairs * size.pair_tokens),
    )


def _probe(plan: Plan, size: Size, policy: str, rewards: str) -> Stage:
    out = plan.out / "probe"
    trained = "merged" if plan.size == "real" else "model"
    arms = ["random=random", f"before={policy}", f"best-of-{size.best_of}=best-of-{size.best_of}:{policy}"]
    arms += [f"after/{seed}={plan.out / f'train/{seed}' / trained}" for seed in plan.seeds]
    questions = size.probed * size.draws * (2 + len(plan.seeds) + 5 * size.best_of)
    return Stage(
        "probe",
        (
            *("probe", *arms, "--scenarios", str(plan.out / "prompts/prompts.jsonl"), "--limit", str(size.probed)),
            *("--draws", str(size.draws), "--calibrate", str(size.probed), "--reward-url", "{reward_url}"),
            *("--may-fail", "1" if plan.size == "smoke" else "0.05"),  # some questions can never be scored
            *(("--hub-revision", REVISION) if plan.size == "real" else ()),
            *("--out", str(out)),
        ),
        (out / "asked.jsonl", out / "calibration.json"),
        rewards=rewards,
        calls=questions * (1 + 4 * size.pairs),
        tokens=questions * (300 + 4 * size.pairs * size.pair_tokens),
    )


def _rewards(plan: Plan, size: Size, world: str) -> str:
    pinned = f'hub_revision = "{REVISION}"\n' if plan.size == "real" else 'dtype = "float32"\n'
    items, personas = _texts(plan)
    return f"""[logprob_preference]
kind = "logprob_preference"
model = "{world}"
{pinned}
[participant]
kind = "participant"
model = "{world}"
{pinned}personas = "{personas}"
max_tokens = {64 if plan.size == "real" else 16}

[information_gain]
kind = "information_gain"
items = "{items}"
personas = "{personas}"
pairs = {size.pairs}
"""


def _texts(plan: Plan) -> tuple[Path, Path]:
    """Return the files of items and personas: those that ship, or those in single words."""
    if plan.size != "real":
        return plan.out / "corpus/items.json", plan.out / "corpus/personas.json"
    found = find_spec("preference_elicitation")  # finds it without running it
    assert found is not None
    assert found.submodule_search_locations
    data = Path(found.submodule_search_locations[0]) / "data"
    return data / "items.toml", data / "personas.toml"
