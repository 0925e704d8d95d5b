"""What each nano model is: its architecture, how much it reads, and what it reads.

The sizes keep all eight together under 24 MB. Head size 32 is the smallest that serving engines have kernels for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from synthetic_instruction_tuner.nano.training import tokenizer as tok

if TYPE_CHECKING:
    from transformers import DebertaV2Config, PretrainedConfig

Arch = Literal["llama", "mistral", "qwen2"]
HEAD = 32  # dimensions per attention head
ROW = 512  # tokens per packed training row
REWARD_MAX_LENGTH = 512


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one language model is made.

    Attributes:
        arch: which published architecture it is an instance of.
        hidden, layers, mlp, kv_heads: its shape; there are hidden / 32 attention heads.
        tokens: how many training tokens it reads, in millions.
        marks: share of sloppily worded answers among its chats; None for a base model, which reads no chats.
        rate: peak learning rate.
    """

    arch: Arch
    hidden: int
    layers: int
    mlp: int
    kv_heads: int
    tokens: float
    marks: float | None
    rate: float = 4e-3

    @property
    def parameters(self) -> int:
        """Weights of the embedding and of the layers' matrices; embedding and head are one."""
        attention = 2 * self.hidden * (self.hidden + self.kv_heads * HEAD)
        return tok.VOCABULARY * self.hidden + self.layers * (attention + 3 * self.hidden * self.mlp)

    @property
    def flops(self) -> float:
        """Floating-point operations of the training: 6 per token and parameter (Kaplan et al. 2020)."""
        return 6e6 * self.tokens * self.parameters

    @property
    def chat(self) -> bool:
        """Whether it learns the chat format."""
        return self.marks is not None


RECIPES: dict[str, Recipe] = {
    "generator": Recipe("llama", 192, 4, 512, 6, tokens=1250, marks=0.95),
    "responder-qwen2": Recipe("qwen2", 192, 4, 352, 2, tokens=260, marks=0.08),
    "responder-mistral": Recipe("mistral", 160, 4, 320, 5, tokens=120, marks=0.5),
    "responder-llama": Recipe("llama", 128, 4, 384, 2, tokens=65, marks=0.8),
    "student-llama": Recipe("llama", 192, 4, 256, 2, tokens=150, marks=None),
    "student-mistral": Recipe("mistral", 192, 4, 256, 2, tokens=150, marks=None),
    "student-qwen2": Recipe("qwen2", 192, 4, 256, 2, tokens=150, marks=None),
}


def config_of(recipe: Recipe) -> PretrainedConfig:
    """Returns the model configuration, in the form that Transformers loads."""
    from transformers import LlamaConfig, MistralConfig, Qwen2Config

    shape: dict[str, Any] = {
        "vocab_size": tok.VOCABULARY,
        "hidden_size": recipe.hidden,
        "num_hidden_layers": recipe.layers,
        "intermediate_size": recipe.mlp,
        "num_attention_heads": recipe.hidden // HEAD,
        "num_key_value_heads": recipe.kv_heads,
        "max_position_embeddings": tok.MAX_LENGTH,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": True,
        "bos_token_id": tok.BOS_ID,
        "eos_token_id": tok.END_ID,
        "pad_token_id": tok.PAD_ID,
    }
    if recipe.arch == "mistral":
        return MistralConfig(**shape, sliding_window=None)
    return LlamaConfig(**shape) if recipe.arch == "llama" else Qwen2Config(**shape)


def reward_config() -> DebertaV2Config:
    """Returns the reward model's configuration: DeBERTa-v2 with shared relative positions, one logit.

    The logit is read from the first token: what one layer learns about other tokens reaches it
    only through the next one.
    """
    from transformers import DebertaV2Config

    return DebertaV2Config(
        vocab_size=tok.VOCABULARY,
        hidden_size=160,
        num_hidden_layers=6,
        num_attention_heads=5,
        intermediate_size=240,
        max_position_embeddings=REWARD_MAX_LENGTH,
        type_vocab_size=0,
        relative_attention=True,
        position_buckets=64,
        max_relative_positions=REWARD_MAX_LENGTH,
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["c2p"],
        position_biased_input=False,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pooler_hidden_size=160,
        pooler_dropout=0.0,
        num_labels=1,
        pad_token_id=tok.PAD_ID,
    )
