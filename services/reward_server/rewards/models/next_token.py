"""What a model predicts behind each of many sequences, with every prefix they share computed once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reward_server.rewards.models.prefix_tree import Node, Tokens, grow

if TYPE_CHECKING:
    import torch
    from transformers import DynamicCache

CALL_TOKENS = {"cpu": 24, "cuda": 512}
"""What one call of the model costs beside its tokens, in tokens: reading the weights, launching kernels."""
CACHED = 8
"""So many cached tokens take about the memory of one that is computed."""
GROWING = {"full_attention", "sliding_attention", "chunked_attention"}
"""Layers whose cache is keys and values, so that a prefix can be continued in several ways."""
NEVER = 1 << 60

Read = Callable[["torch.Tensor"], "torch.Tensor"]
"""What to keep of the next token's float32 logits (rows, vocabulary): (rows, k), far less than the vocabulary."""


def read_next(model: Any, sequences: Sequence[Tokens], read: Read, batch_tokens: int) -> "torch.Tensor":
    """Return (len(sequences), k): what `read` keeps of the logits behind the last token of each sequence.

    Equal to one call of the model per sequence, within rounding; equal sequences are computed once and so are equal to
    the last bit. Only each row's last position goes through the head.

    Args:
        model: a transformers causal language model.
        sequences: token ids, none empty.
        read: what to keep of the logits.
        batch_tokens: padded tokens in one call of several rows, at most.
    """
    import torch

    distinct, tree = _tree(model, sequences)
    with torch.inference_mode():
        kept = dict(Walk(model, read, batch_tokens, _call_tokens(model)).below(tree, None))
    return torch.stack([kept[distinct[sequence]] for sequence in sequences])


def computed(model: Any, sequences: Sequence[Tokens]) -> int:
    """Return the tokens that `read_next` computes for sequences, padding aside."""
    return _tree(model, sequences)[1].size()


def _tree(model: Any, sequences: Sequence[Tokens]) -> tuple[dict[Tokens, int], Node]:
    distinct = {sequence: index for index, sequence in enumerate(dict.fromkeys(sequences))}
    return distinct, grow(list(distinct), _call_tokens(model) if shares_prefixes(model) else NEVER)


def _call_tokens(model: Any) -> int:
    return CALL_TOKENS.get(model.device.type, CALL_TOKENS["cuda"])


def shares_prefixes(model: Any) -> bool:
    """Whether a prefix's state can be continued in several ways; a recurrent one is overwritten by what follows."""
    layers = getattr(model.config.get_text_config(), "layer_types", None) or ()
    return not model._is_stateful and GROWING.issuperset(layers)


@dataclass(frozen=True)
class Walk:
    """One way through a tree of prefixes, depth first, so that few caches live at a time."""

    model: Any
    read: Read
    batch_tokens: int
    call_tokens: int

    def below(self, node: Node, cache: "DynamicCache | None") -> "Iterator[tuple[int, torch.Tensor]]":
        """Yield (index of the sequence, what was read) for everything below a node whose tokens are in `cache`."""
        for some in self._batches([leaf.tokens for leaf in node.leaves], cache):
            rows = self._leaves([node.leaves[i].tokens for i in some], cache)
            yield from zip([node.leaves[i].index for i in some], rows, strict=True)
        for some in self._batches([child.tokens for child in node.children], cache):
            caches = self._caches([node.children[i].tokens for i in some], cache)
            for i in some:
                yield from self.below(node.children[i], next(caches))

    def _batches(self, rows: list[Tokens], cache: "DynamicCache | None") -> list[list[int]]:
        past = cache.get_seq_length() if cache is not None else 0
        return batches([len(row) for row in rows], past // CACHED, self.batch_tokens, self.call_tokens)

    def _leaves(self, rows: list[Tokens], cache: "DynamicCache | None") -> "torch.Tensor":
        past = {} if cache is None else {"past_key_values": _copies(cache, len(rows)), "use_cache": True}
        with _last_positions(self.model, [len(row) for row in rows]):
            logits = self.model(input_ids=self._padded(rows), **past).logits  # (rows, 1, vocabulary)
        return self.read(logits[:, 0].float()).cpu()

    def _caches(self, rows: list[Tokens], cache: "DynamicCache | None") -> "Iterator[DynamicCache]":
        longer = _copies(cache, len(rows))
        past = longer.get_seq_length()
        self.model.base_model(input_ids=self._padded(rows), past_key_values=longer, use_cache=True)
        return (_row(longer, i, past + len(row)) for i, row in enumerate(rows))

    def _padded(self, rows: list[Tokens]) -> "torch.Tensor":
        """Return (rows, longest): padded on the right, where no real token looks, so that no mask is needed."""
        import torch

        longest = max(map(len, rows))
        return torch.tensor([row + (row[-1],) * (longest - len(row)) for row in rows], device=self.model.device)


def batches(lengths: Sequence[int], extra: int, batch_tokens: int, call_tokens: int) -> list[list[int]]:
    """Return the indices of rows of these lengths in batches, each padded to its longest.

    Rows of like length go together. A batch ends before it exceeds `batch_tokens`, each row costing `extra` besides,
    and where its padding would cost more than another call of the model.
    """
    found: list[list[int]] = []
    longest = padding = 0
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        padding += longest - lengths[index]
        if not found or padding > call_tokens or (len(found[-1]) + 1) * (longest + extra) > batch_tokens:
            found.append([])
            longest, padding = lengths[index], 0
        found[-1].append(index)
    return found


def _copies(cache: "DynamicCache | None", rows: int) -> "DynamicCache":
    """Return a cache of `rows` equal rows, which can be continued without touching the one it was made of.

    The layers hold everything, sliding ones too: the attention mask leaves out what lies outside the window.
    """
    from transformers import DynamicCache

    copy = DynamicCache()
    for index, layer in _filled(cache):
        copy.update(layer.keys.expand(rows, -1, -1, -1), layer.values.expand(rows, -1, -1, -1), index)
    return copy


def _row(cache: "DynamicCache", row: int, length: int) -> "DynamicCache":
    """Return one row of a cache without its padding."""
    from transformers import DynamicCache

    own = DynamicCache()
    for index, layer in _filled(cache):
        own.update(layer.keys[row : row + 1, :, :length], layer.values[row : row + 1, :, :length], index)
    return own


def _filled(cache: "DynamicCache | None") -> Iterator[tuple[int, Any]]:
    layers: list[Any] = [] if cache is None else cache.layers
    return ((index, layer) for index, layer in enumerate(layers) if layer.is_initialized)


@contextmanager
def _last_positions(model: Any, lengths: list[int]) -> Iterator[None]:
    """Let only each row's last real position through the head, whatever the model does to its logits behind it."""
    import torch

    rows, last = torch.arange(len(lengths)), torch.tensor(lengths) - 1
    head = model.get_output_embeddings()
    hook = head.register_forward_pre_hook(lambda _, inputs: (inputs[0][rows, last].unsqueeze(1),))
    try:
        yield
    finally:
        hook.remove()
