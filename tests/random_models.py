"""Models of real architectures with random weights and a byte-level tokenizer, written to a folder.

Used where the embedded models would hide a mistake: other architectures, other chat templates, other shapes.

    python tests/random_models.py FOLDER llama [hidden layers heads kv_heads mlp vocab]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
    "{{ m['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
SPECIALS = (
    "<|begin|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|pad|>",
)


def byte_tokenizer(
    template: str | None = CHATML, specials: tuple[str, ...] = SPECIALS, pair: bool = False, size: int = 0
) -> Any:
    """Returns a fast tokenizer with one token per byte, the specials, and the chat template.

    Up to `size` tokens it also knows words, which only a model with random weights ever writes: so its text is words.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocab = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    vocab |= {f"\u0120{i:x}": i for i in range(len(vocab), size - len(specials))}
    raw = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens(list(specials))
    if pair:
        ids = [(t, raw.token_to_id(t)) for t in ("<|begin|>", "<|im_end|>")]
        raw.post_processor = processors.TemplateProcessing(
            single="<|begin|> $A <|im_end|>", pair="<|begin|> $A <|im_end|> $B:1 <|im_end|>:1", special_tokens=ids
        )
    end = "<|eot_id|>" if template == LLAMA3 else "<|im_end|>"
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<|begin|>", eos_token=end, pad_token="<|pad|>")
    tokenizer.chat_template = template
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    return tokenizer


def write_model(
    folder: Path,
    arch: str = "llama",
    hidden: int = 32,
    layers: int = 2,
    heads: int = 4,
    kv_heads: int = 2,
    mlp: int = 64,
    vocab: int | None = None,
    template: str | None = CHATML,
    seed: int = 0,
    dtype: str = "float32",
    tied: bool = True,
) -> Path:
    """Writes a model of the architecture (llama, mistral, qwen2, deberta) with its tokenizer; returns the folder.

    With `tied` embeddings it likes to repeat the last token, and with a `vocab` of its own it ends its texts now and
    then; with others its texts are noise up to their limit.
    """
    import torch
    import transformers as t

    torch.manual_seed(seed)
    device = "cuda" if torch.cuda.is_available() and hidden > 256 else "cpu"  # a billion random numbers take a while
    tokenizer = byte_tokenizer(template, pair=arch == "deberta", size=vocab or 0)
    common: dict[str, Any] = {
        "vocab_size": vocab or len(tokenizer),
        "hidden_size": hidden,
        "intermediate_size": mlp,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    if arch == "deberta":
        config = t.DebertaV2Config(
            **common,
            num_labels=1,
            relative_attention=True,
            pos_att_type=["p2c", "c2p"],
            position_buckets=32,
            type_vocab_size=0,
        )
        with torch.device(device):
            model = t.DebertaV2ForSequenceClassification(config)
    else:
        classes = {
            "llama": (t.LlamaConfig, t.LlamaForCausalLM),
            "mistral": (t.MistralConfig, t.MistralForCausalLM),
            "qwen2": (t.Qwen2Config, t.Qwen2ForCausalLM),
        }
        config_class, model_class = classes[arch]
        config = config_class(
            **common, num_key_value_heads=kv_heads, max_position_embeddings=4096, tie_word_embeddings=tied
        )
        with torch.device(device):
            model = model_class(config)
        if vocab:  # among a hundred thousand words of equal chances, no answer would ever end
            with torch.no_grad():
                model.get_input_embeddings().weight[tokenizer.eos_token_id] *= 270 / hidden**0.5
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    names = ("hidden", "layers", "heads", "kv_heads", "mlp", "vocab")
    sizes = dict(zip(names, map(int, sys.argv[3:]), strict=False))
    print(write_model(Path(sys.argv[1]), sys.argv[2], dtype="bfloat16", **sizes))
