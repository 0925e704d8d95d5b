"""A soft prompt as tokens of an ordinary model: rows of its embeddings, and a chat template that begins with them.

Prompt tuning puts virtual tokens before everything else, before the BOS too. Here each becomes a token with a name, so
that whatever runs the model reads them as it reads any other text: batches, caches and positions need nothing special.

Greedy decoding never writes such a token. Its row of the output layer is the mean of all other rows, so its logit is
the mean of all other logits: never the largest one, whatever the model has read. By Jensen's inequality its probability
is at most 1 / vocabulary, at any temperature; it is far less where a model is sure of anything, but sampling may write
it now and then. Programs that know ``suppress_tokens`` leave them out altogether. The output layer must be one of its
own for that, not shared with the embeddings.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.exporting.base_model import separate_head
from synthetic_instruction_tuner.exporting.trial import Difference, difference, logits
from synthetic_instruction_tuner.models.adapters import load_soft_prompt

if TYPE_CHECKING:
    import torch

NEVER = -1e4  # added to a bias of the output layer, where there is one; float16 holds it


def add_tokens(tokenizer: Any, count: int) -> tuple[list[str], list[int]]:
    """Gives a tokenizer that many new special tokens; returns their names and ids.

    Raises:
        UserError: it cannot take them.
    """
    from tokenizers import AddedToken

    known, stem = set(tokenizer.get_vocab()), "soft_prompt"
    while any(f"<|{stem}_{number}|>" in known for number in range(count)):
        stem += "_"
    names = [f"<|{stem}_{number}|>" for number in range(count)]
    tokenizer.add_tokens([AddedToken(name, special=True, normalized=False) for name in names], special_tokens=True)
    ids = [int(i) for i in tokenizer.convert_tokens_to_ids(names)]
    if len(set(ids)) < count or set(ids) & {
        known_id for name, known_id in tokenizer.get_vocab().items() if name in known
    }:
        fix = "Export the adapter alone (--adapter)."
        raise UserError("The soft prompt cannot be exported.", "the tokenizer does not take new tokens", fix)
    return names, ids


def add_rows(model: Any, soft: torch.Tensor, ids: Sequence[int], known: int) -> None:
    """Gives a model the rows of new tokens; it then has an output layer of its own.

    Args:
        model: a causal LM; it is changed.
        soft: what the tokens stand for, [tokens, hidden].
        ids: theirs; rows that no token had before may be among them.
        known: how many tokens there were before.
    """
    import torch

    separate_head(model)
    had = model.get_input_embeddings().num_embeddings
    known = min(known, had)
    if max(ids) >= had:
        model.resize_token_embeddings(max(ids) + 1, mean_resizing=False)
    table, head = model.get_input_embeddings(), model.get_output_embeddings()
    new = sorted({*ids, *range(had, table.num_embeddings)})
    with torch.no_grad():
        mean = table.weight[:known].float().mean(0)
        table.weight[new] = mean.to(table.weight.dtype)
        table.weight[list(ids)] = (soft.float() / _scale(table, known)).to(table.weight.dtype)
        head.weight[new] = head.weight[:known].float().mean(0).to(head.weight.dtype)
        if (bias := getattr(head, "bias", None)) is not None:
            bias[new] = (bias[:known].float().mean() + NEVER).to(bias.dtype)


def with_tokens(
    base: Any, adapter: Path, ids: Sequence[int], known: int, rows: Sequence[Sequence[int]]
) -> tuple[Any, Difference]:
    """Returns the model with a soft prompt as tokens, and how far it is from PEFT's model with virtual tokens.

    Args:
        base: the base model; it is changed.
        adapter: the folder of the adapter.
        ids: of the new tokens.
        known: how many tokens there were before.
        rows: token ids of the texts to compare, without the soft prompt.

    Raises:
        UserError: the adapter does not fit the model.
    """
    from peft import PeftModel

    soft = load_soft_prompt(adapter)
    width = base.get_input_embeddings().embedding_dim
    if tuple(soft.shape) != (len(ids), width):
        cause = f"it has {len(soft)} virtual tokens of {soft.shape[-1]} numbers, and the model's have {width}"
        raise UserError(f"The adapter {adapter} does not fit its base model.", cause, "Train it again.")
    vocabulary = min(known, base.get_input_embeddings().num_embeddings)
    theirs = logits(PeftModel.from_pretrained(base, str(adapter)).eval(), rows, vocabulary)
    add_rows(base, soft, ids, known)
    ours = [[*ids, *row] for row in rows]
    whole = logits(base, ours, vocabulary)
    start = len(ids)
    keep: list[int] = []
    for row in rows:  # the positions of the text, not those of the soft prompt
        keep += range(start, start + len(row))
        start += len(row) + len(ids)
    return base, difference(whole[keep], theirs)


def _scale(table: Any, known: int) -> float:
    """Returns by what an embedding layer multiplies its rows, as Gemma's does; 1 for nearly all others."""
    import torch

    ids = torch.arange(min(known, 64))
    with torch.no_grad():
        rows, out = table.weight[ids].float().norm(), table(ids).float().norm()
    scale = float(out / rows) if float(rows) else 1.0
    return 1.0 if abs(scale - 1) < 1e-3 else scale
