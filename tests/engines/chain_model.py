"""A chat model whose every answer is known beforehand: the next token depends on the last one alone.

Attention and MLP are zero, so what comes out of a Llama is its last token's embedding; embeddings are unit vectors, and
the output layer is a table from token to next token:

    a b c ... z a b ...   goes on for ever
    U                     writes a text of two-, three- and four-byte characters, one byte a token, and ends its turn
    E                     ends its turn at once
    D                     writes digits for ever, 0 with probability 1/2, 1 with 1/4, ...
    anything else         a

So one suite can ask any engine, on any hardware and in any number format, and know what it must answer.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from random_models import LLAMA3, byte_tokenizer

TEXT = "日é😀"
HIDDEN, HEADS, LAYERS = 320, 5, 2  # 64 numbers a head, which every attention kernel takes
SURE = 30.0  # logit of the one next token; that of all others is 0
DIGITS = "0123456789"


def chain_tokenizer(adds_bos: bool = False) -> Any:
    """Returns the tokenizer; `adds_bos`: it puts a BOS before any text, as Llama 3's does."""
    from tokenizers import processors

    tokenizer = byte_tokenizer(LLAMA3)
    if adds_bos:
        bos = tokenizer.bos_token
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, tokenizer.bos_token_id)]
        )
    return tokenizer


def next_tokens(tokenizer: Any) -> tuple[dict[int, int], dict[int, dict[int, float]]]:
    """Returns the sure successors by token, and for the digits the successors' logits."""

    def ids(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False))

    letters = ids("abcdefghijklmnopqrstuvwxyz")
    sure = {token: letters[0] for token in range(len(tokenizer))}
    sure |= dict(zip(letters, [*letters[1:], letters[0]], strict=True))
    written = ids(TEXT)
    assert len(set(written)) == len(written), "a byte occurs twice: its successor would not be one"
    sure |= dict(zip([*ids("U"), *written], [*written, tokenizer.eos_token_id], strict=True))
    sure[ids("E")[0]] = tokenizer.eos_token_id
    digits = {token: SURE - k * math.log(2) for k, token in enumerate(ids(DIGITS))}
    return sure, dict.fromkeys([*ids("D"), *digits], digits)


def write_chain_model(folder: Path, adds_bos: bool = False) -> Path:
    """Writes the model as a Llama of transformers; returns the folder."""
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    tokenizer = chain_tokenizer(adds_bos)
    end, start = tokenizer.eos_token_id, tokenizer.bos_token_id
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=HIDDEN, intermediate_size=64, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=HEADS, max_position_embeddings=2048, rms_norm_eps=1e-6,
        tie_word_embeddings=False, bos_token_id=start, eos_token_id=end, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    sure, digits = next_tokens(tokenizer)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(1.0 if "norm" in name else 0.0)
        model.model.embed_tokens.weight[:, : len(tokenizer)] = torch.eye(len(tokenizer))
        scale = 1 / math.sqrt(HIDDEN)  # the norm makes a unit vector this much longer
        for token, successor in sure.items():
            model.lm_head.weight[successor, token] = SURE * scale
        for token, successors in digits.items():
            model.lm_head.weight[:, token] = 0.0
            for successor, logit in successors.items():
                model.lm_head.weight[successor, token] = logit * scale
    model.generation_config = GenerationConfig(
        bos_token_id=start, eos_token_id=end, pad_token_id=tokenizer.pad_token_id
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_gguf(folder: Path, file: Path) -> Path:
    """Writes the model in that folder as llama.cpp reads it; needs the package gguf. Returns the file."""
    import gguf
    import torch
    from safetensors.torch import load_file
    from transformers import AutoTokenizer

    tokenizer, weights = AutoTokenizer.from_pretrained(folder), load_file(folder / "model.safetensors")
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(2048)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(64)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_vocab_size(len(tokenizer))
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([tokenizer.convert_ids_to_tokens(k) for k in range(len(tokenizer))])
    kinds = gguf.TokenType
    writer.add_token_types([kinds.CONTROL if k in special else kinds.NORMAL for k in range(len(tokenizer))])
    writer.add_token_merges(["ÿ ÿ"])  # there must be one; these two bytes are in no text
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_add_bos_token(True)
    names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    parts = {
        "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    }  # fmt: skip
    for layer in range(LAYERS):
        names |= {f"model.layers.{layer}.{theirs}": f"blk.{layer}.{ours}" for theirs, ours in parts.items()}
    for name, weight in weights.items():  # attention is all zero, so its rows need not be reordered
        writer.add_tensor(names[name.removesuffix(".weight")] + ".weight", weight.to(torch.float32).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file
