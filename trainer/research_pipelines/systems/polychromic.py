"""A policy keeps its quality and stays varied: baseline, additive bonuses and the set-level objective, side by side."""

from importlib.resources import files
from pathlib import Path

from research_pipelines.plan import Plan
from research_pipelines.stage import Stage

ARMS = {"baseline": "baseline", "0.3": "additive_03", "1.0": "additive_10", "2.0": "additive_20", "set": "polychromic"}
"""The arms by their name in the report, and the run of each."""
SMALL_MODEL = {"proof": ("600", "96", "2"), "smoke": ("40", "32", "1")}
"""Steps, width and layers of the policy that is made where no hub is asked."""
CORPUS_ROWS = {"proof": "8000", "smoke": "400"}
PROMPTS = {"real": 200, "proof": 48, "smoke": 4}
SAMPLES = {"real": 16, "proof": 8, "smoke": 4}
STEPS = {"real": 500, "proof": 200, "smoke": 4}
COMPLETIONS_A_STEP = {"real": 40, "proof": 32, "smoke": 8}
LENGTH = {"real": 64, "proof": 48, "smoke": 24}
TEMPERATURES = {"real": (1.0,), "proof": (1.0, 0.8), "smoke": (1.0,)}
"""At which the arms are compared: as they were trained, and somewhat cooler, as policies are served. What a small model
loses in quality by sampling its own tails tells little of what it has learnt."""
REWARDS = """
[mentions]
kind = "mentions"
required_format = '\\s*[A-Z][^\\n]{19,239}[.?!]\\s*'    # one line that begins and ends as a sentence does

[novelty]
kind = "diversity"
value = "novelty"

[polychromic]
kind = "polychromic"
quality = "mentions"
clusters = "embedding"
cosine = 0.6    # where nearly every completion is a cluster of its own, nothing is left to gain
subset = 4
# an opener that lacks what was asked for makes no cluster: only good ones are varied
required_format = '(?=.*Harbour Motors)(?=.*\\byou\\b)\\s*[A-Z][^\\n]{19,239}[?]\\s*'

[embeddings]
kind = "embeddings"
"""
SMOKE_REWARDS = REWARDS.replace("subset = 4", "subset = 3").replace("required_format =", "# required_format =")
"""A policy of a few seconds writes no sentences: with the format, nothing of it would count."""


def stages(plan: Plan) -> list[Stage]:
    """Return the stages: a small policy and prompts where the size needs them, every arm and seed, the comparison."""
    made = _policy_stages(plan) if plan.size != "real" and plan.policy is None else []
    prompts = [_prompts(plan)] if plan.size != "real" else []
    trainings = [_train(plan, arm, seed) for seed in plan.seeds for arm in ARMS]
    return [*made, *prompts, *trainings, *(_diversity(plan, one) for one in TEMPERATURES[plan.size])]


def _policy_stages(plan: Plan) -> list[Stage]:
    corpus, model = plan.out / "corpus.jsonl", _model(plan)
    steps, hidden, layers = SMALL_MODEL[plan.size]
    shape = ("--steps", steps, "--hidden", hidden, "--layers", layers)
    return [
        Stage("corpus", ("openers", "corpus", "--rows", CORPUS_ROWS[plan.size], "--out", str(corpus)), (corpus,)),
        Stage("policy", ("small-model", str(corpus), "--out", str(model), *shape), (model / "small_model.json",)),
    ]


def _prompts(plan: Plan) -> Stage:
    place = plan.out / "prompts.jsonl"
    command = ("openers", "prompts", "--rows", str(PROMPTS[plan.size]), "--out", str(place))
    return Stage("prompts", command, (place,))


def _train(plan: Plan, arm: str, seed: int) -> Stage:
    out = _run(plan, arm, seed)
    policy = plan.policy or (None if plan.size == "real" else str(_model(plan)))
    size = () if plan.size == "real" else ("--size", plan.size)
    chosen = ("--policy", policy) if policy else ()
    completions = STEPS[plan.size] * COMPLETIONS_A_STEP[plan.size]
    return Stage(
        name=f"train {arm}, seed {seed}",
        command=(
            *("train", ARMS[arm], *size, *chosen, "--seed", str(seed), "--out", str(out)),
            *("--reward-url", "{reward_url}"),
        ),
        makes=(out / "report.html",),
        rewards=_rewards(plan),
        resume=("--resume",),
        resume_if=f"{out.relative_to(plan.out)}/manifest.json",
        calls=completions,
        tokens=completions * LENGTH[plan.size],
    )


def _diversity(plan: Plan, temperature: float) -> Stage:
    name = "diversity" if temperature == 1 else f"diversity-{temperature}"
    cooler = () if temperature == 1 else ("--temperature", str(temperature))
    models = [("--model", f"{arm}@{seed}={_run(plan, arm, seed)}") for arm in ARMS for seed in plan.seeds]
    before = plan.policy or (None if plan.size == "real" else str(_model(plan)))
    if before:
        models.append(("--model", f"untrained={before}"))
    number, samples = PROMPTS[plan.size], SAMPLES[plan.size]
    calls = number * samples * len(models)
    return Stage(
        name=name,
        command=(
            "diversity",
            *(word for pair in models for word in pair),
            *_asked(plan),
            *("--num", str(number), "--samples", str(samples), "--max-tokens", str(LENGTH[plan.size])),
            *("--reward", "mentions", "--reward-url", "{reward_url}", "--baseline", "baseline"),
            *("--batch-size", "64", "--out", str(plan.out / name)),
            *cooler,
        ),
        makes=(plan.out / name / "diversity.json", plan.out / name / "diversity.html"),
        rewards=_rewards(plan),
        calls=calls,
        tokens=calls * LENGTH[plan.size],
    )


def _asked(plan: Plan) -> tuple[str, ...]:
    if plan.size == "real":
        source = ("--prompts", "dataset:allenai/common_gen:validation", "--reference-column", "concepts")
        return (*source, "--template", "Write one sentence with these words: {concepts}")
    return ("--prompts", str(plan.out / "prompts.jsonl"), "--reference-column", "reference")


def _rewards(plan: Plan) -> str:
    if plan.size == "real":
        return (files("grpo_trainer") / "runs/rewards/polychromic.toml").read_text(encoding="utf-8")
    return SMOKE_REWARDS if plan.size == "smoke" else REWARDS


def _model(plan: Plan) -> Path:
    return plan.out / "policy"


def _run(plan: Plan, arm: str, seed: int) -> Path:
    return plan.out / "runs" / f"{arm}-{seed}"
