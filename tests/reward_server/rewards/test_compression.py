import random
import zlib

from hypothesis import given
from hypothesis import strategies as st

from reward_server.rewards.variety.compression import compression


@given(st.lists(st.text(max_size=30), min_size=1, max_size=8))
def test_compression_is_the_ratio_without_the_bytes_of_nothing(texts: list[str]) -> None:
    content = "\n".join(sorted(texts)).encode("utf-8", "surrogatepass")
    packed = len(zlib.compress(content, 9)) - len(zlib.compress(b"", 9))
    assert compression(texts) == (len(content) / packed if any(texts) else None)


def test_copies_compress_better_than_different_texts() -> None:
    chance = random.Random(0)
    texts = ["".join(chance.choices("abcdefghij ", k=200)) for _ in range(8)]
    copied, different = compression(texts[:1] * 8), compression(texts)
    assert copied is not None
    assert different is not None
    assert copied > 3 * different


def test_texts_that_are_all_empty_have_no_ratio() -> None:
    assert compression(["", ""]) is None
