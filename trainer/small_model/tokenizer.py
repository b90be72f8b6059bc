"""A byte-level BPE tokenizer, learnt from a corpus, with the plain chat template."""

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from reward_server.rewards.models.layout import PLAIN_TEMPLATE
from small_model.corpus import Example

PAD, END = "<pad>", "<eos>"
Row = dict[str, list[int]]
"""`input_ids` and `labels` of one example."""


def learnt(examples: Sequence[Example], vocabulary: int) -> PreTrainedTokenizerFast:
    """Return a tokenizer of at most `vocabulary` tokens; numbers are cut into their digits, and no text is unknown."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(examples), trainer)
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]  # transformers annotates no tokenizer's arguments
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=END
    )
    fast.chat_template = PLAIN_TEMPLATE
    return fast


def with_phrases(tokenizer: PreTrainedTokenizerFast, phrases: Sequence[str]) -> PreTrainedTokenizerFast:
    """Return a copy that takes each of these texts, wherever it stands, for one token; all other ids stay as they are.

    What a corpus says in the same words over and over then costs one position, and a small model that has to compare
    what stands between looks over a short text. The longest phrase that fits is taken first.
    """
    copied = deepcopy(tokenizer)
    copied.add_tokens([AddedToken(phrase, normalized=False) for phrase in dict.fromkeys(phrases)])
    return copied


def encoded(example: Example, tokenizer: PreTrainedTokenizerFast) -> Row:
    """Return a row of the corpus in tokens; the prompt's labels are -100, which no loss looks at."""
    opening = tokenizer.apply_chat_template(example.prompt, add_generation_prompt=True, tokenize=False)
    prompt = _ids(tokenizer, str(opening))
    answer = [*_ids(tokenizer, f" {example.completion}"), int(tokenizer.eos_token_id)]
    return {"input_ids": [*prompt, *answer], "labels": [*[-100] * len(prompt), *answer]}


def _ids(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _texts(examples: Iterable[Example]) -> Iterator[str]:
    for example in examples:
        yield from (turn["content"] for turn in example.prompt)
        yield f"User: Assistant: {example.completion}"
