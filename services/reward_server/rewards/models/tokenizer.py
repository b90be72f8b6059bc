"""Token ids of texts and text pairs, made on many threads at once."""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple


class Encoded(NamedTuple):
    """One sequence as a model reads it.

    Attributes:
        ids: token ids with the special tokens around them; at least one.
        types: which text of a pair each token is of, 0 or 1; None for models that take no such input.
        left_out: tokens that did not fit.
    """

    ids: list[int]
    types: list[int] | None = None
    left_out: int = 0


class Tokenizer:
    """A fast tokenizer whose settings never change, which is what makes it safe to use on many threads.

    transformers sets truncation and padding on the Rust object behind it with every call: another thread that encodes
    meanwhile gets its text cut to the wrong length, or "Already borrowed" from older versions. Here texts are encoded
    whole, and cut afterwards.

    Args:
        tokenizer: a transformers tokenizer; it is copied.
        max_tokens: the longest sequence to make, special tokens included.
        typed: whether the model takes `token_type_ids`.
        literal: read the text of a special token, "[SEP]" for instance, as the characters it is made of, so that no
            completion can end its own text.

    Raises:
        TypeError: the tokenizer has no Rust backend.
        ValueError: not even the special tokens fit.
    """

    def __init__(self, tokenizer: Any, max_tokens: int, typed: bool, literal: bool = False) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise TypeError(f"{type(tokenizer).__name__} is a slow tokenizer; the model needs a tokenizer.json")
        self._backend = copy.deepcopy(tokenizer.backend_tokenizer)
        self._backend.no_truncation()
        self._backend.no_padding()
        self._backend.encode_special_tokens = literal
        self._typed = typed and "token_type_ids" in tokenizer.model_input_names
        self._bos = tokenizer.bos_token_id
        self.max_tokens = max_tokens
        if self._room(pair=True) < 1:
            raise ValueError(f"max_tokens = {max_tokens} leaves no room beside the special tokens")

    def texts(self, texts: Sequence[str]) -> list[Encoded]:
        """Encode each text, cut at its end where it is too long.

        Raises:
            ValueError: a text has no tokens, for this and the other methods.
        """
        found = self._backend.encode_batch_fast(list(texts))
        return [
            self._encoded(one) if len(one) <= self.max_tokens else self._cut_text(text)
            for text, one in zip(texts, found, strict=True)
        ]

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> list[Encoded]:
        """Encode each pair of texts as one sequence.

        Where it is too long the first text loses its beginning, and the second its end if it is too long by itself.
        """
        found = self._backend.encode_batch_fast(list(pairs))
        return [
            self._encoded(one) if len(one) <= self.max_tokens else self._cut_pair(*pair)
            for pair, one in zip(pairs, found, strict=True)
        ]

    def rendered(self, texts: Sequence[str]) -> list[Encoded]:
        """Encode each text as it is, special tokens and all: what a chat template has written.

        Where it is too long it loses its beginning, but for the token that opens a text, if it has one.
        """
        found = self._backend.encode_batch_fast(list(texts), add_special_tokens=False)
        return [self._cut_rendered(one) for one in found]

    def _encoded(self, encoding: Any, left_out: int = 0) -> Encoded:
        if not encoding.ids:
            raise ValueError("there is nothing to read: no text, and no special token around it")
        return Encoded(encoding.ids, encoding.type_ids if self._typed else None, left_out)

    def _room(self, pair: bool) -> int:
        return self.max_tokens - int(self._backend.num_special_tokens_to_add(pair))

    def _bare(self, text: str) -> Any:
        return self._backend.encode(text, add_special_tokens=False)

    def _cut_text(self, text: str) -> Encoded:
        encoding, room = self._bare(text), self._room(pair=False)
        left_out = len(encoding) - room
        encoding.truncate(room)
        return self._encoded(self._backend.post_process(encoding), left_out)

    def _cut_pair(self, first: str, second: str) -> Encoded:
        before, after, room = self._bare(first), self._bare(second), self._room(pair=True)
        left_out = len(before) + len(after) - room
        after.truncate(room)
        before.truncate(room - len(after), direction="left")
        return self._encoded(self._backend.post_process(before, after), left_out)

    def _cut_rendered(self, encoding: Any) -> Encoded:
        left_out = len(encoding) - self.max_tokens
        if left_out <= 0:
            return self._encoded(encoding)
        opening = encoding.ids[:1] if encoding.ids[0] == self._bos else []
        encoding.truncate(self.max_tokens - len(opening), direction="left")
        return Encoded(opening + encoding.ids, [0] * self.max_tokens if self._typed else None, left_out)
