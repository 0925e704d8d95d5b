"""The tokenizer that all nano models share: byte-level BPE, 2,048 tokens, single digits, six special tokens.

The chat format is ``<bos><system>S<end><user>I<end><assistant>R<end>``, the system part only where there is one. The
tokenizer adds nothing by itself, so the ids of a rendered chat are those of its pieces, joined.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

VOCABULARY = 2048
BOS, END, PAD, SYSTEM, USER, ASSISTANT = SPECIALS = ("<bos>", "<end>", "<pad>", "<system>", "<user>", "<assistant>")
BOS_ID, END_ID, PAD_ID, SYSTEM_ID, USER_ID, ASSISTANT_ID = range(len(SPECIALS))
MAX_LENGTH = 1024

# Qwen2's splitting of text into words and single digits. `AutoTokenizer` forces it, and its NFC normalization, on every
# folder with a Qwen2 model in it, whatever the tokenizer file says: so all nano models use it.
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

CHAT_TEMPLATE = (
    "{{ '<bos>' }}{% for message in messages %}{{ '<' + message['role'] + '>' + message['content'] + '<end>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}"
)


def learn(texts: Iterable[str], size: int = VOCABULARY) -> Tokenizer:
    """Returns a byte-level BPE tokenizer learned from the texts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIALS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def render(messages: Sequence[Any], add_generation_prompt: bool = False) -> str:
    """Returns what the chat template makes of the messages (with ``role`` and ``content``), much faster."""
    turns = "".join(f"<{message.role}>{message.content}{END}" for message in messages)
    return BOS + turns + (ASSISTANT if add_generation_prompt else "")


def save_causal(tokenizer: Tokenizer, folder: Path) -> None:
    """Writes the tokenizer of a causal model, chat template included, so that `AutoTokenizer` loads it."""
    _save(tokenizer, folder, {"padding_side": "left", "truncation_side": "left", "model_max_length": MAX_LENGTH})
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": CHAT_TEMPLATE}, indent=1))


def same(one: Path, other: Path) -> bool:
    """Whether two ``tokenizer.json`` give the same ids to the same texts."""
    models = [json.loads(file.read_text("utf-8"))["model"] for file in (one, other)]
    return bool(models[0]["vocab"] == models[1]["vocab"] and models[0]["merges"] == models[1]["merges"])


def save_reward(tokenizer: Tokenizer, folder: Path, max_length: int) -> None:
    """Writes the reward model's tokenizer: the same tokens, and pairs as ``<bos> question <end> answer <end>``.

    ``<bos>`` takes the place of [CLS] and ``<end>`` that of [SEP].
    """
    paired = Tokenizer.from_str(tokenizer.to_str())
    paired.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A {END}",
        pair=f"{BOS} $A {END} $B {END}",
        special_tokens=[(BOS, BOS_ID), (END, END_ID)],
    )
    roles = {"cls_token": BOS, "sep_token": END, "padding_side": "right", "truncation_side": "left"}
    _save(paired, folder, roles | {"model_max_length": max_length})


def load(folder: Path) -> PreTrainedTokenizerFast:
    """Returns a saved tokenizer."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(folder)


def _save(tokenizer: Tokenizer, folder: Path, settings: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    plain = json.loads(tokenizer.to_str())
    # Without the spaces of pretty printing the file is half as large.
    (folder / "tokenizer.json").write_text(json.dumps(plain, ensure_ascii=False, separators=(",", ":")), "utf-8")
    common = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": END,
        "pad_token": PAD,
        "unk_token": PAD,  # no byte is unknown; without this, Qwen2's class would add its own token
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(common | settings, indent=1))
