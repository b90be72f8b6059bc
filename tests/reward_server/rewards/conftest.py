"""Models so small that a test makes its own: random weights over a few words, in a directory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reward_server.rewards.models.critic_heads import Heads

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "<s>", "<|end|>"]
WORDS = [f"w{number}" for number in range(90)] + ["user", "assistant", "system", ":", "\n"]
CHAT = "{{ bos_token }}{% for m in messages %}{{ m['role'] }} : {{ m['content'] }} <|end|>\n{% endfor %}"
POSITIONS = 4200


def save_tokenizer(folder: Path, *, bert: bool = False, chat: str | None = None) -> None:
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate([*SPECIAL, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens([AddedToken(word, special=True) for word in SPECIAL])
    if bert:
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
        tokens = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    else:
        tokenizer.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A $B", [("<s>", 4)])
        tokens = {"unk_token": "[UNK]", "bos_token": "<s>", "eos_token": "<|end|>"}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=POSITIONS, **tokens)
    fast.chat_template = chat
    fast.save_pretrained(folder)


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers that reads 4,200 tokens."""
    import torch
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("encoder")
    save_tokenizer(folder, bert=True)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(SPECIAL) + len(WORDS),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=POSITIONS,
        initializer_range=0.2,
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_critic(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A critic with the default heads, untrained, on the tiny encoder."""
    import torch

    folder = tmp_path_factory.mktemp("critic")
    torch.manual_seed(1)
    heads = Heads(encoder=str(tiny_encoder), width=32, max_tokens=POSITIONS)
    heads.save(heads.network(), folder)
    return folder


@pytest.fixture(scope="session")
def tiny_classifier(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make a directory with a Llama classifier of two layers: number of outputs, chat template, further settings."""
    import torch
    from transformers import LlamaConfig, LlamaForSequenceClassification

    def make(outputs: int = 1, chat: str | None = CHAT, **more: Any) -> Path:
        folder = tmp_path_factory.mktemp("classifier")
        save_tokenizer(folder, chat=chat)
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=len(SPECIAL) + len(WORDS),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=POSITIONS,
            num_labels=outputs,
            bos_token_id=4,
            eos_token_id=5,
            initializer_range=0.2,
            **more,
        )
        LlamaForSequenceClassification(config).save_pretrained(folder)
        return folder

    return make
