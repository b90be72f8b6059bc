"""What a shared prefix saves: pairs per second of `logprob_preference` against full calls of the model, side by side.

Run it with `python benchmarks/logprob_preference.py`; it takes minutes and 6 GB. The model is a Llama of the shape of
Qwen2.5-0.5B with random weights, in float32 on the CPU: 20 pairs share a prefix of 201 tokens and have suffixes of 68.
`two_calls` reads log P of each letter off a call of its own, with logits at every position, as scoring a continuation
does; `one_call` reads both letters off the last position of one call per order; `shared` is the reward itself, with
its tokenising. `cpu_vs_…` compare the CPU seconds of all threads instead of the clock: what is left of the ratios when
somebody else uses the machine as well; OMP_WAIT_POLICY=passive then keeps waiting from being counted as work. It prints
one JSON line at the end, which is also written to benchmarks/results/logprob_preference.json.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from machine import machine
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from reward_server.rewards import Item
from reward_server.rewards.logprob_preference import LogprobPreference

REPETITIONS = 5
PREFIX, SUFFIX, PAIRS = 201, 68, 20
SLOW_PAIRS = 2
"""Pairs that the full calls are timed on, others in every repetition; every pair costs them the same."""
RESULTS = Path(__file__).parent / "results" / "logprob_preference.json"
WORDS = [f"w{number}" for number in range(5000)]
SPOKEN = (
    "System User Assistant You are the person who gives answers in this conversation All that is known of you what "
    "have said here Answer as would most likely Option Which option do you prefer A or B with letter only . , : ? ;"
)

Ids = tuple[int, ...]


def build(folder: Path) -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=151_936,
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        max_position_embeddings=32_768,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    words = dict.fromkeys(["<unk>", *SPOKEN.split(), *WORDS])
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(folder)


def item(said: int, first: int, second: int) -> Item:
    """Return an item whose answer has `said` words and whose options have so many; no two options begin alike."""
    options = [
        [" ".join(WORDS[50 * (2 * pair + slot) :][:length]) for slot, length in enumerate((first, second))]
        for pair in range(PAIRS)
    ]
    transcript = [{"question": "w1 w2 ?", "answer": " ".join(WORDS[-said:])}]
    return Item("", "", context={"transcript": transcript, "pairs": options})


def fitted(kind: LogprobPreference) -> Item:
    """Return the item whose prompts have exactly the lengths that are measured."""
    prefix, suffix = lengths(kind, item(1, 1, 1))
    words = SUFFIX - suffix + 2
    made = item(1 + PREFIX - prefix, words // 2, words - words // 2)
    assert lengths(kind, made) == (PREFIX, SUFFIX)
    return made


def lengths(kind: LogprobPreference, one: Item) -> tuple[int, int]:
    kind.prepare([one])
    prompts = [prompt for order in one.encoded.orders for prompt in order]
    shared = next(place for place, column in enumerate(zip(*prompts, strict=True)) if len(set(column)) > 1)
    return shared, len(prompts[0]) - shared


def two_calls(model: Any, prompt: Ids, letters: tuple[int, int]) -> float:
    logs = []
    for letter in letters:
        logits = model(input_ids=torch.tensor([[*prompt, letter]]), use_cache=False).logits[0].float()
        logs.append(float(logits[-2].log_softmax(0)[letter]))
    return logs[0] - logs[1]


def one_call(model: Any, prompt: Ids, letters: tuple[int, int]) -> float:
    last = model(input_ids=torch.tensor([prompt]), use_cache=False, logits_to_keep=1).logits[0, -1].float()
    logs = last.log_softmax(0)[list(letters)]
    return float(logs[0] - logs[1])


class Timing(NamedTuple):
    """Pairs per second, pairs per CPU second, and the log-odds of each pair."""

    pairs_per_s: float
    pairs_per_cpu_s: float
    log_odds: list[float]


def timed(run: Callable[[], list[float]]) -> Timing:
    clock, cpu = time.perf_counter(), time.process_time()
    with torch.inference_mode():
        found = run()
    return Timing(len(found) / (time.perf_counter() - clock), len(found) / (time.process_time() - cpu), found)


def one_round(
    kind: LogprobPreference, context: dict[str, Any], orders: list[tuple[Ids, Ids]], start: int
) -> dict[str, float]:
    """Measure everything once, so that a slow moment of the machine hits all of them."""
    vocabulary = kind.local.tokenizer.get_vocab()
    letters = (vocabulary["A"], vocabulary["B"])
    chosen = [(start + place) % PAIRS for place in range(SLOW_PAIRS)]

    def full(call: Callable[[Any, Ids, tuple[int, int]], float]) -> list[float]:
        model = kind.local.model
        each = [[call(model, prompt, letters) for prompt in orders[place]] for place in chosen]
        return [(as_given - exchanged) / 2 for as_given, exchanged in each]

    def shared() -> list[float]:
        [score] = kind.score([Item("", "", context=context)])
        return [score.components[f"log_odds.{place}"] or 0.0 for place in range(PAIRS)]

    two, ours, one = timed(lambda: full(two_calls)), timed(shared), timed(lambda: full(one_call))
    return {
        "two_calls_pairs_per_s": two.pairs_per_s,
        "one_call_pairs_per_s": one.pairs_per_s,
        "shared_pairs_per_s": ours.pairs_per_s,
        "vs_two_calls": ours.pairs_per_s / two.pairs_per_s,
        "vs_one_call": ours.pairs_per_s / one.pairs_per_s,
        "cpu_vs_two_calls": ours.pairs_per_cpu_s / two.pairs_per_cpu_s,
        "cpu_vs_one_call": ours.pairs_per_cpu_s / one.pairs_per_cpu_s,
        "max_abs_difference": max(abs(ours.log_odds[i] - z) for i, z in zip(chosen, two.log_odds, strict=True)),
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        build(Path(name))
        kind = LogprobPreference(model=name, chat_template="plain", dtype="float32")
        kind.load()
    made = fitted(kind)
    orders = made.encoded.orders
    kind.score([made])  # warm up
    rounds = []
    for repetition in range(REPETITIONS):
        rounds.append(one_round(kind, made.context, orders, repetition * SLOW_PAIRS))
        print(json.dumps({key: float(f"{value:.3g}") for key, value in rounds[-1].items()}), flush=True)
    result = {key: round(statistics.median(one[key] for one in rounds), 3) for key in rounds[0]}
    result["max_abs_difference"] = float(f"{max(one['max_abs_difference'] for one in rounds):.2g}")
    told = {"machine": machine(), "threads": torch.get_num_threads(), "repetitions": REPETITIONS}
    RESULTS.write_text(
        json.dumps({**told, "prefix": PREFIX, "suffix": SUFFIX, "pairs": PAIRS, **result}, indent=2) + "\n"
    )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
