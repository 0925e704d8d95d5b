"""Every causal language model that the installed Transformers has, small and with random weights.

No list of families: the sizes of a configuration are found by their names, also in the configurations within it, and
made small. What is written down are the few families whose sizes depend on each other.
"""

from __future__ import annotations

import contextlib
import inspect
from typing import Any

import torch

VOCABULARY = 96
LARGEST = 7_000_000  # parameters; what is larger would take seconds to make
_SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "embedding_size", "word_embed_proj_dim", "emb_dim"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "decoder_layers", "encoder_layers"), 2),
    **dict.fromkeys(("num_encoder_layers", "num_nextn_predict_layers"), 1),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "num_decoder_attention_heads", "num_encoder_attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads", "index_n_heads"), 2),
    **dict.fromkeys(("head_dim", "rotary_dim", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"), 8),
    **dict.fromkeys(("index_head_dim", "linear_key_head_dim", "linear_value_head_dim", "global_head_dim", "d_kv"), 8),
    "index_topk": 32,
    **dict.fromkeys(("chunk_size", "mamba_chunk_size"), 8),
    **dict.fromkeys(("sliding_window", "window_size", "attention_window_size", "sliding_window_size"), 6),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "n_inner", "decoder_ffn_dim", "encoder_ffn_dim", "d_ff"), 48),
    **dict.fromkeys(("moe_intermediate_size", "expert_ffn_hidden_size", "ffn_hidden_size", "kv_lora_rank"), 16),
    **dict.fromkeys(("q_lora_rank", "hidden_size_per_layer_input", "shared_expert_intermediate_size"), 16),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len", "max_target_positions"), 64),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("linear_num_key_heads", "linear_num_value_heads"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_topk", "moe_k", "n_group", "topk_group"), 2),
    "vocab_size_per_layer_input": VOCABULARY,
    **dict.fromkeys(("state_size", "ssm_state_size", "mamba_d_state", "mamba_head_dim", "mamba_d_head"), 16),
    **dict.fromkeys(("mamba_num_heads", "mamba_n_heads", "n_mamba_heads"), 4),
    **dict.fromkeys(("n_groups", "mamba_n_groups", "mamba_ngroups"), 1),
    "mamba_d_ssm": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "is_decoder": True,
    **dict.fromkeys(("initializer_range", "init_std"), 0.2),  # so that what came before is heard
}  # fmt: skip
_ALTERNATING = ["sliding_attention", "full_attention"] * 2
_FULL_HEADS = {"num_key_value_heads": 4}
_OF_FAMILY: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1]},
    "dbrx": {
        "attn_config": {"kv_n_heads": 2, "rope_theta": 1e4, "clip_qkv": 8.0},
        "ffn_config": {"ffn_hidden_size": 32},
    },
    "dots1": {"n_shared_experts": 1},
    "dots3_note_text": _FULL_HEADS,
    "gemma3n_text": {"num_hidden_layers": 4, "num_kv_shared_layers": 2, "layer_types": _ALTERNATING},
    "gemma4_text": {"num_hidden_layers": 4, "num_kv_shared_layers": 2, "layer_types": _ALTERNATING},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"]},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1},
    "kimi_linear": {"linear_head_dim": 8, "linear_num_heads": 4},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "mamba2": {"num_heads": 8},
    "moshi": {"audio_vocab_size": 32},
    "qwen4_exp_text": {
        "indexer_compress_ratio": 2,
        "indexer_n_heads": 4,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 8,
        "indexer_budget": 32,
    },
    "recurrent_gemma": {"block_types": ["recurrent", "attention"]},
    "reformer": {"axial_pos_embds_dim": (16, 16), "axial_pos_shape": (8, 8)},
    "roc_bert": {"pronunciation_vocab_size": 32, "shape_vocab_size": 32},
    "xlm": {"causal": True},
    "xmod": {"default_language": "en_XX"},
    "zamba": {"num_hidden_layers": 6, "attn_layer_period": 3, "attn_layer_offset": 2},
    "zamba2": {"layers_block_type": ["mamba", "hybrid"]},
    "zaya": {"num_experts_per_tok": 1},
}  # fmt: skip


VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {  # families that have two ways within them
    "falcon alibi": ("falcon", {"alibi": True}),
    "bloom of one head": ("bloom", {"n_head": 1}),
    "mpt without alibi": ("mpt", {"attn_config": {"alibi": False}}),
    "gpt_neo local": ("gpt_neo", {"attention_types": [[["local"], 2]]}),
    "qwen2 with a window": ("qwen2", {"use_sliding_window": True, "max_window_layers": 0}),
    "mistral without a window": ("mistral", {"sliding_window": None}),
    "llama eager": ("llama", {"attn_implementation": "eager"}),
}


def tiny_config(config_class: Any, name: str = "", **changes: Any) -> Any:
    """Returns a small configuration of the class."""
    names = set(inspect.signature(config_class.__init__).parameters) | set(config_class.__annotations__)
    sizes = {key: value for key, value in (_SIZES | _OF_FAMILY.get(name, {})).items() if key in names}
    if "kv_lora_rank" in names:
        sizes |= _FULL_HEADS
    if "layer_types" in names and "layer_types" not in sizes:  # one layer of each kind that the family has
        with contextlib.suppress(Exception):
            if len(kinds := dict.fromkeys(config_class().layer_types)) > 1:
                sizes |= {"layer_types": list(kinds), "num_hidden_layers": len(kinds)}
    for key, inner in getattr(config_class, "sub_configs", {}).items():
        if hasattr(inner, "model_type") and inner.model_type:
            sizes[key] = tiny_config(inner, inner.model_type).to_dict()
    return config_class(**sizes | changes)


def families() -> list[str]:
    """Returns the model types of all causal language models."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return list(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)


def tiny_model(name: str) -> Any:
    """Returns a small model of the type, or of a variant, with random weights.

    Raises:
        ValueError: it cannot be made small.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

    family, changes = VARIANTS.get(name, (name, {}))
    config = tiny_config(CONFIG_MAPPING[family], family, **changes)
    found = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    model_class = found[0] if isinstance(found, tuple) else found
    if type(config) is not model_class.config_class:  # as `from_pretrained` does
        config = config.get_text_config()
    with torch.device("meta"):
        parameters = sum(p.numel() for p in model_class._from_config(config).parameters())
    if parameters > LARGEST:
        raise ValueError(f"{parameters:,} parameters")
    torch.manual_seed(0)
    return model_class._from_config(config).eval()
