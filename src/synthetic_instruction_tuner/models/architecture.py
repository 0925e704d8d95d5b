"""A model without its weights: its layers and their names, and how long a text its positions allow."""

from __future__ import annotations

from typing import Any

from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.models.availability import shown_path
from synthetic_instruction_tuner.models.loading import explained, resolve, source


def empty_model(model: ModelConfig) -> Any:
    """Returns a causal LM as its config.json describes it, on torch's device without memory; no weights are read.

    Raises:
        UserError: Transformers cannot make such a model.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with explained(model):
        config = AutoConfig.from_pretrained(resolve(model, weights=False), **source(model))
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config, trust_remote_code=model.trust_remote_code)


def longest_text(model: ModelConfig, max_length: int, virtual_tokens: int = 0) -> int:
    """Returns how many tokens a text may have: at most `max_length`, and what the model has positions for.

    Args:
        model: a causal LM.
        max_length: what the settings allow.
        virtual_tokens: positions that a soft prompt takes in front of the text.

    Raises:
        UserError: the soft prompt leaves no room for a text.
    """
    try:
        positions = learned_positions(empty_model(model))
    except UserError:  # one that cannot be made without its weights; loading it says more
        return max_length
    if positions is None:
        return max_length
    if positions - virtual_tokens < 2:
        raise UserError(
            f"The soft prompt does not fit into {shown_path(model)}.",
            f"it has {virtual_tokens} virtual tokens, and the model has {positions} positions for them and the text",
            "Lower train.prompt_tuning.num_virtual_tokens.",
        )
    return min(max_length, positions - virtual_tokens)


def learned_positions(model: Any) -> int | None:
    """Returns for how many tokens a model has positions, or None where it computes them for any number.

    GPT-2 and OPT learn a row of a table for each position, GPT-J and CTRL compute one in advance, and MPT's biases have
    a fixed size: beyond it, all of them fail. A table is recognized by its size. OPT's first rows are for padding,
    and so are RoBERTa's.
    """
    import torch

    config = model.config.get_text_config()
    count: int | None = getattr(config, "max_position_embeddings", None)
    if config.model_type == "mpt":
        return int(config.max_seq_len)
    if not count:
        return None
    words = model.get_input_embeddings()
    for table in model.modules():
        if isinstance(table, torch.nn.Embedding) and table is not words and count <= table.num_embeddings <= count + 2:
            unused = getattr(table, "offset", None)
            if unused is None:
                unused = 0 if table.padding_idx is None else table.padding_idx + 1
            return int(table.num_embeddings - unused)
    computed = (tensor for name, tensor in model.named_buffers() if "pos" in name.rsplit(".", 1)[-1])
    return count if any(tensor.dim() == 2 and tensor.shape[0] == count for tensor in computed) else None
