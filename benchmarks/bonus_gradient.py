"""What a diversity bonus does to the weights: subtracted from a supervised loss, and as the advantage of completions.

`python benchmarks/bonus_gradient.py` trains one small byte-level model four times from the same weights, on the same
rows and with the same random numbers, and writes benchmarks/results/bonus_gradient.json and .png. In the supervised
runs the bonus is what such a metric always is: a number computed from sampled texts, which no gradient can pass. In the
others each completion's own novelty is its advantage, as `guerdon train` has it. The last line is JSON.
"""

import hashlib
import json
import random
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from machine import machine
from transformers import LlamaConfig, LlamaForCausalLM

from grpo_trainer.openers.demonstrations import demonstrations
from reward_server.rewards.variety.ngrams import NgramCounts, distinct, novelty
from reward_server.rewards.variety.words import tokens

mpl.use("Agg")
import matplotlib.pyplot as plt

RESULTS = Path(__file__).parent / "results"
STEPS, ROWS, GROUP, LENGTH = 30, 8, 6, 40
LAMBDAS = (0.0, 10.0)
END = 0


def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    size = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    return LlamaForCausalLM(LlamaConfig(vocab_size=256, num_key_value_heads=4, tie_word_embeddings=True, **size))


def batches() -> list[torch.Tensor]:
    """Return STEPS batches of demonstrations as bytes, int64 (ROWS, LENGTH + 1), the same in every run."""
    texts = [row["completion"].encode()[: LENGTH + 1] for row in demonstrations(STEPS * ROWS, 0.3, 0)]
    rows = torch.tensor([[*text, *[END] * (LENGTH + 1 - len(text))] for text in texts])
    return list(rows.split(ROWS))


def sampled(policy: LlamaForCausalLM, first: int) -> torch.Tensor:
    """Return GROUP completions that follow one byte, int64 (GROUP, LENGTH)."""
    with torch.no_grad():
        start = torch.full((GROUP, 1), first)
        return policy.generate(  # type: ignore[no-any-return,operator]
            start, attention_mask=torch.ones_like(start), do_sample=True, top_k=0, max_new_tokens=LENGTH - 1,
            pad_token_id=END, eos_token_id=None,
        )  # fmt: skip


def texts(ids: torch.Tensor) -> NgramCounts:
    return NgramCounts([tokens(bytes(row).decode("utf-8", "replace")) for row in ids.tolist()])


def supervised_loss(policy: LlamaForCausalLM, batch: torch.Tensor) -> torch.Tensor:
    return policy(input_ids=batch, labels=batch).loss


def served_loss(policy: LlamaForCausalLM, ids: torch.Tensor) -> torch.Tensor:
    """Return GRPO's loss with each completion's own novelty, centred in the group, as its advantage."""
    own = torch.tensor(novelty(texts(ids), 2))
    advantage = own - own.mean()
    logits = policy(input_ids=ids[:, :-1]).logits
    logprob = logits.log_softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1)
    return -(advantage[:, None] * logprob).mean()


def run(how: str, weight: float) -> dict[str, Any]:
    """Train once; `how` is what the bonus of this weight is: a constant of the loss, or an advantage."""
    policy = model()
    losses, bonuses, path = [], [], []
    optimizer = torch.optim.AdamW(policy.parameters(), lr=3e-3)
    random.seed(0)
    torch.manual_seed(1)
    for batch in batches():
        ids = sampled(policy, int(batch[0, 0]))
        bonus = distinct(texts(ids), 2) or 0.0
        loss = supervised_loss(policy, batch)
        loss = loss - weight * bonus if how == "constant" else loss + weight * served_loss(policy, ids)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(round(loss.item(), 6))
        bonuses.append(round(bonus, 4))
        path.append(torch.cat([value.flatten().clone() for _, value in sorted(policy.state_dict().items())]))
    digest = hashlib.sha256(path[-1].numpy().tobytes()).hexdigest()
    return {"how": how, "lambda": weight, "sha256": digest, "loss": losses, "bonus": bonuses, "weights": path}


def largest_changes(one: dict[str, Any], other: dict[str, Any]) -> list[float]:
    """Return by how much the weight that differs most differs, after each step."""
    return [float((a - b).abs().max()) for a, b in zip(one["weights"], other["weights"], strict=True)]


def draw(runs: list[dict[str, Any]], changes: dict[str, list[float]]) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    steps = range(1, STEPS + 1)
    for one in runs[: len(LAMBDAS)]:
        left.plot(steps, one["loss"], label=f"λ = {one['lambda']:g}", lw=2)
    left.set(title="the loss that is reported, with the bonus taken off", xlabel="step", ylabel="loss")
    names = {"constant": "bonus taken off the supervised loss", "advantage": "novelty as the advantage"}
    for how, change in changes.items():
        right.plot(steps, change, label=names[how], lw=2)
    right.set(title="what λ = 10 does to the weights", xlabel="step", ylabel="largest difference from λ = 0")
    for panel in (left, right):
        panel.grid(alpha=0.25)
        panel.legend(frameon=False)
    figure.savefig(RESULTS / "bonus_gradient.png", dpi=130)


def main() -> None:
    torch.set_num_threads(1)
    started = time.monotonic()
    runs = [run(how, weight) for how in ("constant", "advantage") for weight in LAMBDAS]
    changes = {how: largest_changes(*[one for one in runs if one["how"] == how]) for how in ("constant", "advantage")}
    draw(runs, changes)
    kept = [{key: value for key, value in one.items() if key != "weights"} for one in runs]
    found = {
        "machine": machine(),
        "command": "python benchmarks/bonus_gradient.py",
        "seconds": round(time.monotonic() - started, 1),
        "weights": int(runs[0]["weights"][-1].numel()),
        "steps": STEPS,
        "largest_change_of_a_weight_from_lambda_0_to_10": {how: change[-1] for how, change in changes.items()},
        "identical_weights": {how: not any(change) for how, change in changes.items()},
        "runs": kept,
    }
    (RESULTS / "bonus_gradient.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps({key: found[key] for key in list(found)[2:7]}))


if __name__ == "__main__":
    main()
