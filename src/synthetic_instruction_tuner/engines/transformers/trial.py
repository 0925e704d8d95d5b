"""What works with a model's architecture, found by trying it on short texts.

The reference is a plain pass: one text alone, without padding, mask or cache. Every faster way must give the same
logits as that. An architecture that does not is served by the next slower way; one that looks ahead by none.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from synthetic_instruction_tuner.engines.base import Request
from synthetic_instruction_tuner.engines.transformers.gpu.packed_attention import PackedAttention
from synthetic_instruction_tuner.engines.transformers.plain_decoding import (
    GivenCacheDecoder,
    PlacedDecoder,
    PlainDecoder,
    SingleDecoder,
    WholeTextDecoder,
)
from synthetic_instruction_tuner.engines.transformers.prefixes import read_prefix
from synthetic_instruction_tuner.engines.transformers.sampling import require_finite
from synthetic_instruction_tuner.engines.transformers.scoring import rows_of, score_rows
from synthetic_instruction_tuner.engines.transformers.slot_decoding import SlotDecoder
from synthetic_instruction_tuner.errors import UserError

Text = tuple[int, ...]
Decoder = SlotDecoder | PlainDecoder
_STEPS = 4  # tokens that a decoder writes in its trial
_WINDOW = re.compile(r"window(_size|_len)?$|^attention_chunk_size$")
_GROUPED = "texts of equal length are decoded together, which is slower than for most architectures"
_NOTES: dict[type[Decoder], str] = {  # fastest first
    SlotDecoder: "",
    PlainDecoder: _GROUPED,
    GivenCacheDecoder: _GROUPED,
    PlacedDecoder: _GROUPED,
    SingleDecoder: "this architecture is right for one text at a time only, which is slow",
    WholeTextDecoder: "this architecture keeps nothing of use: each token computes its whole text, which is slow",
}


@torch.inference_mode()  # type: ignore[untyped-decorator]
def decoder_for(model: Any, device: str) -> type[Decoder]:
    """Returns the fastest decoder that is right for the model.

    Raises:
        UserError: none is, since the model looks ahead.
        RunError: the model's logits are not finite.
    """
    if supports_slots(model, device):
        return SlotDecoder
    _require_causal(model, device)
    texts = _texts(model, 0)
    for kind in _NOTES:
        if kind is not SlotDecoder and _decodes(kind, model, device, texts):
            return kind
    raise _unserved(model, "what it writes in a batch is not what it writes alone")


def note(decoder: type[Decoder]) -> str:
    """Returns what is slow about a decoder, or an empty text."""
    return _NOTES[decoder]


@torch.inference_mode()  # type: ignore[untyped-decorator]
def supports_slots(model: Any, device: str, *, kernel: bool = False) -> bool:
    """Returns whether the slot cache, and the decode kernel, support this architecture.

    Recurrent and convolutional layers keep a state instead of keys and values, some models read positions from a
    two-dimensional mask (ALiBi), others share caches between layers; all of these use the plain decoder.
    """
    config = model.config.get_text_config()
    if not set(getattr(config, "layer_types", None) or ()) <= {"full_attention", "sliding_attention"}:
        return False
    if _windows(config) - {"sliding_window"}:  # in masks that the model makes itself, counted from the longest row
        return False
    try:
        kinds = {type(layer) for layer in DynamicCache(config=model.config).layers}
    except Exception:  # a configuration that does not describe its cache
        return False
    if not kinds <= {DynamicLayer, DynamicSlidingWindowLayer}:
        return False
    return _decodes(partial(SlotDecoder, kernel=kernel), model, device, _texts(model, 4))


@torch.inference_mode()  # type: ignore[untyped-decorator]
def can_share(model: Any, device: str) -> bool:
    """Returns whether continuations of a context can be scored in one row.

    For that the model must take positions and a mask as they are given, and attend to all that the mask allows.

    Raises:
        UserError: not even one continuation a row is scored right, since the model looks ahead.
        RunError: the model's logits are not finite.
    """
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ())
    shares = (
        not _windows(config)
        and kinds <= {"full_attention"}
        and config._attn_implementation in ("sdpa", "eager")
        and "position_ids" in inspect.signature(model.forward).parameters
        and _scores(model, device, shared=True)
    )
    if not shares:
        _require_causal(model, device)
        if not _scores(model, device, shared=False):
            raise _unserved(model, "in a batch, its log-probabilities are others than those of a text alone")
    return shares


@torch.inference_mode()  # type: ignore[untyped-decorator]
def packed_for(model: Any, device: str) -> PackedAttention | None:
    """Returns what scores texts behind a common beginning without padding; None where the model cannot use it.

    Args:
        model: a causal LM for which continuations can share a row, with a plain cache.
        device: where it is.
    """
    packed, (first, second, _) = PackedAttention(model), _texts(model, 3)
    start = first[:6]
    pairs = [((*start, *second[:5]), first[6:9]), ((*start, second[1]), second[2:4]), ((*start, *first[:3]), first[:1])]
    try:
        prefix = read_prefix(model, start, device, None)
        got = score_rows(model, pairs, rows_of(pairs, shared=True), 0, device, None, prefix, packed)
    except torch.OutOfMemoryError:
        raise
    except Exception:  # as in `_decodes`
        return None
    return packed if _right(model, device, pairs, got) else None


def _decodes(kind: Callable[..., Decoder], model: Any, device: str, texts: Sequence[Text]) -> bool:
    """Returns whether a decoder draws from the logits of plain passes over the same texts."""
    seen: list[torch.Tensor] = []
    try:
        decoder = kind(model, 0, 2, device)
        step = decoder.step

        def watched(*args: Any) -> torch.Tensor:
            logits = step(*args)
            seen.append(logits.to(torch.float32, copy=True))  # a graph writes the next step's into the same place
            return logits

        decoder.step = watched  # type: ignore[method-assign,assignment]
        requests = [(k, Request(text, 0, _STEPS, (), 0.0)) for k, text in enumerate(texts)]
        got = {k: c.token_ids for finished in decoder.run(requests) for k, c in finished.items()}
    except torch.OutOfMemoryError:
        raise
    except Exception:  # an unknown architecture may raise anything over an unfamiliar cache
        return False
    # A batch has seen its steps one after the other, [rows, vocabulary] each.
    drawn = torch.cat([torch.stack(seen[k : k + _STEPS], dim=1) for k in range(0, len(seen), _STEPS)])
    return all(
        _agree(drawn[k], _plain_logits(model, device, (*text, *got[k]))[len(text) - 1 : -1], model.dtype)
        for k, text in enumerate(texts)
    )


def _scores(model: Any, device: str, shared: bool) -> bool:
    """Returns whether scoring gives the log-probabilities of plain passes over the same texts."""
    first, second, _ = _texts(model, 3)
    pairs = [(first[:6], first[6:9]), (first[:6], second[2:6]), (first[:6], second[5:7]), (second, first[:2])]
    try:
        got = score_rows(model, pairs, rows_of(pairs, shared), 0, device, None)
    except torch.OutOfMemoryError:
        raise
    except Exception:  # as in `_decodes`
        return False
    return _right(model, device, pairs, got)


def _right(model: Any, device: str, pairs: Sequence[tuple[Text, Text]], got: dict[int, tuple[float, bool]]) -> bool:
    """Returns whether log-probabilities are those of plain passes."""
    errors = []
    for number, (context, continuation) in enumerate(pairs):
        steps = _plain_logits(model, device, (*context, *continuation))[len(context) - 1 : -1]
        wanted = torch.tensor(continuation, device=device)[:, None]
        sure = float(steps.log_softmax(-1).gather(1, wanted).sum())
        errors.append(abs(sure - got[number][0]) / float(steps.std(-1).sum() + 1e-6))
    return bool(max(errors) <= 5e-4 if _whole(model.dtype) else sum(errors) / len(errors) <= 0.1)


def _require_causal(model: Any, device: str) -> None:
    """Makes sure that the logits of a text do not depend on what follows it, as in an encoder they do.

    Raises:
        UserError: they do.
        RunError: they are not finite.
    """
    text, other, _ = _texts(model, 0)
    half = len(text) // 2
    alone = _plain_logits(model, device, text)
    require_finite(alone, model.dtype)
    if not _agree(_plain_logits(model, device, text[:half] + other[half:])[:half], alone[:half], model.dtype):
        raise _unserved(model, "it looks ahead: its logits depend on the text that follows")


def _unserved(model: Any, cause: str) -> UserError:
    return UserError(
        f"A model of the kind {model.config.model_type} cannot be used to write or score text.",
        cause,
        "Use a model that reads from left to right, such as those of the profiles.",
    )


def _texts(model: Any, longer: int) -> tuple[Text, Text, Text]:
    """Returns texts of common token ids: two longer than a short window, the second by so much, and a single token."""
    config = model.config.get_text_config()
    length = min(getattr(config, "sliding_window", None) or 8, 8) + 4
    start = min(5, config.vocab_size - 1)  # some models take their positions from where padding is, one of the first
    size = min(97, config.vocab_size) - start
    first, second = (tuple(start + (7 * i + 3 * k) % size for i in range(length + k * longer)) for k in (0, 1))
    return first, second, first[:1]


def _plain_logits(model: Any, device: str, text: Text) -> torch.Tensor:
    """Returns the logits of one text alone, [tokens, vocabulary]."""
    logits: torch.Tensor = model(input_ids=torch.tensor([text], device=device), use_cache=False).logits[0]
    return logits.float()


def _agree(got: torch.Tensor, wanted: torch.Tensor, dtype: torch.dtype) -> bool:
    """Returns whether logits, [steps, vocabulary], are the same within rounding.

    In half precision a router may choose another expert over it, so that only the mean says something.
    """
    errors = (got - wanted).pow(2).mean(-1).sqrt() / (wanted.std(-1) + 1e-6)
    return bool(errors.max() <= 1e-3 if _whole(dtype) else errors.mean() <= 0.15)


def _whole(dtype: torch.dtype) -> bool:
    return dtype in (torch.float32, torch.float64)


def _windows(config: Any) -> set[str]:
    """Returns the settings by which a model attends to a part of the text only."""
    if not getattr(config, "use_sliding_window", True):
        return set()
    set_ = {name for name, value in config.to_dict().items() if type(value) is int and value}
    return {name for name in set_ if _WINDOW.search(name)}
