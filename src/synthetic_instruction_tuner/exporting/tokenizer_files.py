"""What stands beside an export's weights: tokenizer, chat template, and the settings of generation.

An ordinary export has those that the student was trained with. Where a soft prompt has become tokens, the template
begins with them, and the tokenizer adds no tokens by itself: a BOS in front of the soft prompt would move it from where
it was trained. What the template writes is all that the model reads.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthetic_instruction_tuner.data_files.atomic_writing import write_text
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.records import Message

if TYPE_CHECKING:
    from synthetic_instruction_tuner.chat.template import ChatTemplate

_AUTOMATIC = {"TemplateProcessing", "BertProcessing", "RobertaProcessing"}
_FAST = "PreTrainedTokenizerFast"
_ASKED = (
    [{"role": "user", "content": "What is the sea?"}],
    [{"role": "user", "content": " 1 + 1"}, {"role": "assistant", "content": "2"}, {"role": "user", "content": "Why?"}],
)


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Writes a tokenizer and its chat template; batches are padded on the left, as generation needs it."""
    tokenizer.save_pretrained(str(folder))
    _change(folder / "tokenizer_config.json", padding_side="left")


def save_generation_settings(
    model: Any, template: ChatTemplate, tokenizer: Any, folder: Path, unsampled: Sequence[int] = ()
) -> None:
    """Writes ``generation_config.json``: every token that ends an answer, and those that no answer may hold.

    Args:
        model: the base model's own settings are kept; None where it is not loaded.
        template: of the chat.
        tokenizer: its.
        folder: where to.
        unsampled: ids of tokens that are never to be written.
    """
    from transformers import GenerationConfig

    settings = GenerationConfig() if model is None else model.generation_config
    settings.eos_token_id = list(template.stop_ids)
    settings.bos_token_id = tokenizer.bos_token_id
    settings.pad_token_id = tokenizer.pad_token_id
    if unsampled:
        settings.suppress_tokens = sorted({*(settings.suppress_tokens or ()), *unsampled})
    try:
        settings.validate(strict=True)
    except ValueError:  # some models have a temperature, and do not say that they sample with it
        settings.do_sample = True
    settings.save_pretrained(str(folder))


def begin_with(tokenizer: Any, names: Sequence[str], bos: str) -> None:
    """Makes every chat template of a tokenizer begin with tokens, and with a BOS that its tokenizer adds by itself.

    Args:
        tokenizer: its templates are changed.
        names: the tokens.
        bos: a BOS to write behind them; empty where the template writes one, or none is wanted.
    """
    # A block of its own, and the template begins a line: rules on white space see what they saw before.
    start = "{% if true %}" + "".join(names) + bos + "{% endif %}\n"
    found = tokenizer.chat_template
    if isinstance(found, dict):
        tokenizer.chat_template = {name: start + text for name, text in found.items()}
    else:
        tokenizer.chat_template = start + found


def unwritten_bos(tokenizer: Any, template: ChatTemplate) -> str:
    """Returns the BOS that a prompt has in training and that its template does not write; else an empty text."""
    if not tokenizer.bos_token:
        return ""
    prompt = template.prompt_ids([Message("user", _ASKED[0][0]["content"])])
    written = tokenizer.encode(_rendered(tokenizer, 0), add_special_tokens=False)
    first = tokenizer.bos_token_id
    return str(tokenizer.bos_token) if prompt[:1] == [first] and written[:1] != [first] else ""


def save_exact_tokenizer(tokenizer: Any, folder: Path, ids: Sequence[int], before: Sequence[Sequence[int]]) -> Any:
    """Writes a tokenizer that adds no token by itself; returns it as it is read back.

    Args:
        tokenizer: its template begins with the soft prompt.
        folder: where to.
        ids: of the soft prompt.
        before: what `prompts` gave before the soft prompt was there.

    Raises:
        UserError: it cannot be written so that it gives what was trained.
    """
    from transformers import AutoTokenizer

    save_tokenizer(tokenizer, folder)
    _add_nothing(folder)
    found = AutoTokenizer.from_pretrained(str(folder))
    if _adds(found):
        _change(folder / "tokenizer_config.json", tokenizer_class=_FAST)
        found = AutoTokenizer.from_pretrained(str(folder))
    if _adds(found) or prompts(found) != [[*ids, *row] for row in before]:
        raise UserError(
            "The soft prompt cannot be exported as tokens.",
            "with new tokens in front, this tokenizer cuts the text behind them in another way",
            "Export the adapter alone (--adapter).",
        )
    return found


def prompts(tokenizer: Any, bos: Sequence[int] = ()) -> list[list[int]]:
    """Returns the ids of a few conversations, as its chat template gives them.

    Args:
        tokenizer: whose.
        bos: ids in front that the template does not write.
    """
    texts = (_rendered(tokenizer, number) for number in range(len(_ASKED)))
    return [[*bos, *tokenizer.encode(text, add_special_tokens=False)] for text in texts]


def _rendered(tokenizer: Any, number: int) -> str:
    return str(tokenizer.apply_chat_template(_ASKED[number], tokenize=False, add_generation_prompt=True))


def _adds(tokenizer: Any) -> bool:
    return bool(tokenizer.encode("a") != tokenizer.encode("a", add_special_tokens=False))


def _add_nothing(folder: Path) -> None:
    """Takes what adds tokens out of a tokenizer's files."""
    file = folder / "tokenizer.json"
    if file.is_file():
        found = json.loads(file.read_text(encoding="utf-8"))
        found["post_processor"] = _without_automatic(found.get("post_processor"))
        write_text(file, json.dumps(found, ensure_ascii=False))
    _change(folder / "tokenizer_config.json", add_bos_token=False, add_eos_token=False)


def _without_automatic(processor: Any) -> Any:
    if not processor or processor["type"] in _AUTOMATIC:
        return None
    if processor["type"] == "Sequence":
        left = [one for one in processor["processors"] if one["type"] not in _AUTOMATIC]
        return processor | {"processors": left} if left else None
    return processor


def _change(file: Path, **values: Any) -> None:
    found = json.loads(file.read_text(encoding="utf-8"))
    write_text(file, json.dumps(found | values, ensure_ascii=False, indent=2) + "\n")
