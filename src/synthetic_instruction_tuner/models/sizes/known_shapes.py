"""The sizes of models that the profiles name, for plans on machines that do not have their files.

Each row holds what the model's ``config.json`` on the Hugging Face Hub states. The number of weights follows from it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnownSizes:
    """The sizes of a model, as its configuration states them.

    Attributes:
        layers, hidden, inner: depth, width, and width of the layers between.
        heads, kv_heads, head_width: attention heads, those of keys and values, and the width of one.
        vocabulary: rows of the embeddings.
        tied: whether the output layer is the embeddings.
        biases: whether queries, keys and values have biases.
        encoder: an encoder in the form of DeBERTa v3 with a score head, not a decoder.
    """

    layers: int
    hidden: int
    inner: int
    heads: int
    kv_heads: int
    head_width: int
    vocabulary: int
    tied: bool = False
    biases: bool = False
    encoder: bool = False

    @property
    def query_width(self) -> int:
        """Numbers of all query heads of a token."""
        return self.heads * self.head_width

    @property
    def kv_width(self) -> int:
        """Numbers of keys and values of a token."""
        return 2 * self.kv_heads * self.head_width

    @property
    def linear(self) -> int:
        """Weights of the linear layers, without the output layer."""
        if self.encoder:
            return self.layers * (4 * self.hidden**2 + 2 * self.hidden * self.inner)
        attention = self.hidden * (2 * self.query_width + self.kv_width)
        return self.layers * (attention + 3 * self.hidden * self.inner)

    @property
    def parameters(self) -> int:
        """All weights."""
        if self.encoder:  # biases, two norms a layer, relative positions, the convolution-free head and its norm
            small = self.layers * (9 * self.hidden + self.inner) + 512 * self.hidden + 4 * self.hidden
            return self.linear + self.vocabulary * self.hidden + small + self.hidden**2 + 2 * self.hidden + 1
        biases = self.layers * (self.query_width + self.kv_width) if self.biases else 0
        norms = (2 * self.layers + 1) * self.hidden
        tables = self.vocabulary * self.hidden * (1 if self.tied else 2)
        return self.linear + tables + norms + biases


_LLAMA_8B = KnownSizes(32, 4096, 14336, 32, 8, 128, 128_256)
_LLAMA_1B = KnownSizes(16, 2048, 8192, 32, 8, 64, 128_256, tied=True)
_LLAMA_3B = KnownSizes(28, 3072, 8192, 24, 8, 128, 128_256, tied=True)
_MISTRAL_7B = KnownSizes(32, 4096, 14336, 32, 8, 128, 32_768)
_PHI_4 = KnownSizes(40, 5120, 17920, 40, 10, 128, 100_352)
_PHI_4_MINI = KnownSizes(32, 3072, 8192, 24, 8, 128, 200_064, tied=True)
_QWEN_05B = KnownSizes(24, 896, 4864, 14, 2, 64, 151_936, tied=True, biases=True)
_QWEN_15B = KnownSizes(28, 1536, 8960, 12, 2, 128, 151_936, tied=True, biases=True)
_QWEN_3B = KnownSizes(36, 2048, 11008, 16, 2, 128, 151_936, tied=True, biases=True)
_QWEN_7B = KnownSizes(28, 3584, 18944, 28, 4, 128, 152_064, biases=True)
_SMOL_135M = KnownSizes(30, 576, 1536, 9, 3, 64, 49_152, tied=True)
_SMOL_360M = KnownSizes(32, 960, 2560, 15, 5, 64, 49_152, tied=True)
_SMOL_17B = KnownSizes(24, 2048, 8192, 32, 32, 64, 49_152, tied=True)

_BASES = {
    "meta-llama/Llama-3.1-8B": _LLAMA_8B,
    "meta-llama/Llama-3.2-1B": _LLAMA_1B,
    "meta-llama/Llama-3.2-3B": _LLAMA_3B,
    "Qwen/Qwen2.5-0.5B": _QWEN_05B,
    "Qwen/Qwen2.5-1.5B": _QWEN_15B,
    "Qwen/Qwen2.5-3B": _QWEN_3B,
    "Qwen/Qwen2.5-7B": _QWEN_7B,
    "HuggingFaceTB/SmolLM2-135M": _SMOL_135M,
    "HuggingFaceTB/SmolLM2-360M": _SMOL_360M,
    "HuggingFaceTB/SmolLM2-1.7B": _SMOL_17B,
}
KNOWN: dict[str, KnownSizes] = {
    **_BASES,
    **{f"{path}-Instruct": sizes for path, sizes in _BASES.items()},
    "microsoft/phi-4": _PHI_4,
    "microsoft/Phi-4-mini-instruct": _PHI_4_MINI,
    "mistralai/Mistral-7B-v0.3": _MISTRAL_7B,
    "mistralai/Mistral-7B-Instruct-v0.3": _MISTRAL_7B,
    "OpenAssistant/reward-model-deberta-v3-large-v2": KnownSizes(24, 1024, 4096, 16, 16, 64, 128_100, encoder=True),
}
"""By Hub id."""
