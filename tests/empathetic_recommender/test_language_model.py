from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from empathetic_recommender.language_model import LanguageModel

CHAT = [{"role": "user", "content": "I look for a western."}]
TEXTS = [" I recommend Shane.", " I recommend The Man Who Shot Liberty Valance.", " No."]


def test_log_likelihoods_are_those_of_each_text_alone_without_padding(tiny_chatter: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(tiny_chatter)
    model: Any = AutoModelForCausalLM.from_pretrained(tiny_chatter, dtype="float32").eval()
    opening = tokenizer.apply_chat_template(CHAT, tokenize=False, add_generation_prompt=True)
    before = len(tokenizer(opening)["input_ids"])
    expected = []
    for text in TEXTS:
        ids = tokenizer(opening + text, return_tensors="pt")["input_ids"]
        wanted = torch.where(torch.arange(ids.shape[1]) < before, -100, ids)  # -100: no part in transformers' own loss
        with torch.inference_mode():
            expected.append(-float(model(input_ids=ids, labels=wanted).loss))

    found = LanguageModel(str(tiny_chatter)).log_likelihoods(CHAT, TEXTS)
    assert found == pytest.approx(expected, abs=1e-5)
    assert len(set(found)) == len(TEXTS)
