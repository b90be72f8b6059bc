"""Models so small that a test makes its own."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.critic_trainer.replies import KIND, RUDE

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
CHAT = "{{ bos_token }}{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of two layers, randomly initialised, that knows the words of the tests' replies."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("encoder")
    words = [*SPECIAL, *dict.fromkeys(re.findall(r"\w+|[^\w\s]", f"User: {KIND} {RUDE}"))]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=64,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        initializer_range=0.2,
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture
def tiny_chatter(tiny_policy: Path, tmp_path: Path) -> Callable[[bool], Path]:
    """Make a model whose tokenizer puts a BOS before every text; its chat template, if it has one, does so too."""
    from tokenizers import processors
    from transformers import AutoTokenizer

    def make(chats: bool) -> Path:
        folder = tmp_path / "chatter"
        shutil.copytree(tiny_policy, folder)
        tokenizer = AutoTokenizer.from_pretrained(folder, bos_token="<eos>")
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing("<eos> $A", None, [("<eos>", 1)])
        tokenizer.chat_template = CHAT if chats else None
        tokenizer.save_pretrained(folder)
        return folder

    return make
