import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from reward_server.rewards import Item
from reward_server.rewards.embeddings import Embeddings
from reward_server.rewards.models.source import source

TEXTS = ["", "Paris.", "The capital of France is Paris, and has been for long. " * 8, "naïve 東京 🙂", "[SEP] x"]


@pytest.fixture(scope="module")
def embeddings() -> Embeddings:
    kind = Embeddings()
    kind.load()
    return kind


def words(count: int, seed: int = 0) -> str:
    return " ".join(f"w{(seed * 31 + place * 7 + place * place) % 90}" for place in range(count))


def test_they_are_those_of_sentence_transformers(embeddings: Embeddings) -> None:
    reference = SentenceTransformer(str(source(embeddings.model, None)), device="cpu")
    reference.max_seq_length = embeddings.max_tokens
    expected = reference.encode(TEXTS, normalize_embeddings=True)
    assert np.abs(embeddings.embed(TEXTS) - expected).max() < 1e-6


def test_a_long_text_is_cut_at_its_end(embeddings: Embeddings) -> None:
    item, half = Item("", "word " * 1000), Item("", "word " * 254)
    assert embeddings.tokens(item) == embeddings.max_tokens == 256
    assert np.abs(embeddings.vectors([item]) - embeddings.vectors([half])).max() < 1e-6


def test_a_text_has_the_same_vector_alone_in_64_and_next_to_4000_tokens(tiny_encoder: Path) -> None:
    kind = Embeddings(model=str(tiny_encoder), max_tokens=4200)
    kind.load()
    text, long = words(14, 2), " ".join(f"w{place % 90}" for place in range(4000))
    [alone] = kind.embed([text])
    crowd = [words(n, n) for n in range(63)]
    for batch in ([*crowd, text], [long, text], [text, long, *crowd]):
        assert np.abs(kind.embed(batch)[batch.index(text)] - alone).max() < 1e-5


def test_prepared_items_have_the_vectors_of_their_texts(embeddings: Embeddings) -> None:
    items = [Item("", text) for text in TEXTS]
    embeddings.prepare(items)
    assert np.array_equal(embeddings.vectors(items), embeddings.embed(TEXTS))
    assert [embeddings.tokens(item) for item in items] == [len(item.encoded.ids) for item in items]


def test_many_threads_tokenise_while_the_model_runs(embeddings: Embeddings) -> None:
    texts = [f"thread {n} says {words(n % 40, n)} " * (1 + n % 9) for n in range(400)]
    expected = [embeddings._encode([text])[0] for text in texts]

    def prepared(text: str) -> object:
        item = Item("", text)
        embeddings.prepare([item])
        return item.encoded

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # threads meet more often
    try:
        with ThreadPoolExecutor(16) as pool:
            running = pool.submit(embeddings.embed, texts[:64])
            assert list(pool.map(prepared, texts)) == expected
            assert running.result().shape == (64, 384)
    finally:
        sys.setswitchinterval(before)
