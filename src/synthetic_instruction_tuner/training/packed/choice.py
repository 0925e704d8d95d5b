"""Whether a training's texts are packed: where it pays, and only on a model on which it was tried.

`train.packing` is ``auto`` (on GPUs), ``on`` or ``off``. Before the first step two of the texts are scored both ways,
by the packed pass and by the model's own, with their gradients. A model for which they differ, or that the packed pass
does not compute, is trained in padded batches, and that is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.nn.functional import cosine_similarity

from synthetic_instruction_tuner.training.examples import Example, PairExample
from synthetic_instruction_tuner.training.packed.answer_scores import answer_scores
from synthetic_instruction_tuner.training.packed.decoder import Decoder, Unsupported
from synthetic_instruction_tuner.training.packed.packs import pack, packed_tokens
from synthetic_instruction_tuner.training.run_training import Job

TRIAL_TOKENS = 256  # of each text that is tried
SCORE_ERROR = {torch.float32: 1e-3}  # nats per token, on average
_SCORE_ERROR_16 = 0.05
GRADIENT_LIKENESS = {torch.float32: 0.9999}  # cosine
_GRADIENT_LIKENESS_16 = 0.98


def wanted(packing: str, device: str) -> bool:
    """Returns whether texts are to be packed, if the model allows it.

    Args:
        packing: the setting.
        device: where the training is.
    """
    return packing == "on" or (packing == "auto" and device != "cpu")


def packed_pass(job: Job, model: Any, virtual_tokens: int = 0) -> Decoder | None:
    """Returns the packed pass of a training's model; says which way is taken, and why."""
    found = decoder_for(model, job.data.rows, job.config.gradient_checkpointing, virtual_tokens)
    if isinstance(found, str):
        job.workspace.note(f"{job.model.name}: texts are trained in padded batches, not packed: {found}")
        return None
    most = limit_of(job.data.rows, job.config.per_device_train_batch_size, virtual_tokens)
    how = found.kernel_name
    job.workspace.note(f"{job.model.name}: texts are packed into rows of at most {most:,} tokens, attention {how}")
    return found


def decoder_for(
    model: Any, rows: Sequence[Example | PairExample], checkpointing: bool, virtual_tokens: int = 0
) -> Decoder | str:
    """Returns the packed pass of a model, or why there is none.

    Args:
        model: a PEFT model, on its device.
        rows: what will be trained on; the shortest are tried.
        checkpointing: whether layers are to be computed again in the backward pass.
        virtual_tokens: in front of each text.
    """
    texts = [
        _cut(text) for row in rows for text in ((row,) if isinstance(row, Example) else (row.chosen, row.rejected))
    ]
    texts = sorted((text for text in texts if any(text.trained[1:])), key=lambda text: text.tokens)[:2]
    if not texts:
        return "no text has a token to learn after its first"
    training = model.training
    model.eval()
    try:
        decoder = Decoder(model, checkpointing)
        found, wanted = _packed(decoder, texts, virtual_tokens), _one_by_one(model, texts, virtual_tokens)
    except Unsupported as error:
        return str(error)
    except torch.OutOfMemoryError:  # which padded batches would need more of
        raise
    except (RuntimeError, TypeError, AttributeError, ValueError) as error:  # a model may differ in any of its parts
        return f"a trial of it failed ({' '.join(str(error).split())[:120]})"
    finally:
        model.train(training)
    return _difference(found, wanted, model.dtype) or decoder


def limit_of(rows: Sequence[Example | PairExample], texts: int, virtual_tokens: int = 0) -> int:
    """Returns the most tokens of a pack: those of a padded micro-batch of the longest texts.

    Args:
        rows: what is trained on.
        texts: texts or pairs per micro-batch.
        virtual_tokens: in front of each text.
    """
    return texts * max(packed_tokens(row, virtual_tokens) for row in rows)


Found = tuple[torch.Tensor, torch.Tensor]
"""Log-probabilities of the trained tokens, and the gradient of their sum as one vector."""


def _packed(decoder: Decoder, texts: Sequence[Example], virtual_tokens: int) -> Found:
    row = pack(texts, virtual_tokens).to(decoder.head.weight.device)
    scores = answer_scores(decoder.hidden(row, torch.Generator().manual_seed(0)), decoder.head.weight, row.targets)
    return scores.detach(), _gradient(scores.sum(), decoder.model)


def _one_by_one(model: Any, texts: Sequence[Example], virtual_tokens: int) -> Found:
    device, scores = next(model.parameters()).device, []
    for text in texts:
        ids = torch.tensor([text.ids], device=device)
        with _autocast(device, model.dtype):
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits[0]
        trained = torch.tensor(text.trained, device=device)
        logits = logits[virtual_tokens - 1 : -1] if virtual_tokens else logits[:-1]
        skipped = 0 if virtual_tokens else 1
        ids, trained = ids[0, skipped:], trained[skipped:]
        scores.append(logits[trained].float().log_softmax(-1).gather(1, ids[trained, None])[:, 0])
    return torch.cat(scores).detach(), _gradient(torch.cat(scores).sum(), model)


def _gradient(value: torch.Tensor, model: Any) -> torch.Tensor:
    parameters = [p for p in model.parameters() if p.requires_grad]
    slopes = torch.autograd.grad(value, parameters, allow_unused=True)
    return torch.cat([slope.float().flatten() for slope in slopes if slope is not None])


def _autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def _difference(found: Found, wanted: Found, dtype: torch.dtype) -> str:
    error = (found[0] - wanted[0]).abs().mean().item()
    if not error <= SCORE_ERROR.get(dtype, _SCORE_ERROR_16):
        return f"packed texts get other log-probabilities ({error:.3f} nats per token on average)"
    if found[1].shape != wanted[1].shape:
        return "packed texts train other weights"
    likeness = cosine_similarity(found[1], wanted[1], dim=0).item()
    if not likeness >= GRADIENT_LIKENESS.get(dtype, _GRADIENT_LIKENESS_16):
        return f"packed texts get other gradients (cosine {likeness:.3f})"
    return ""


def _cut(text: Example) -> Example:
    start = text.trained.index(True) if any(text.trained) else 0
    first = max(0, min(start - TRIAL_TOKENS // 2, text.tokens - TRIAL_TOKENS))
    part = slice(first, first + TRIAL_TOKENS)
    return Example(text.id, text.ids[part], text.trained[part])
