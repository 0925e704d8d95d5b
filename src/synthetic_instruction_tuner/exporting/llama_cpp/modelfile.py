"""Ollama's Modelfile: which file, the chat template in Go's template language, and what ends an answer.

Ollama does not read the Jinja template of a GGUF file. A plain one (`conversation_form`) is written again in Go's
language, from the texts that were found in it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synthetic_instruction_tuner.exporting.llama_cpp.conversation_form import ConversationForm, conversation_form
from synthetic_instruction_tuner.records import Message

_QUOTES = '"""'


def modelfile(folder: Path, file: str) -> tuple[str, str]:
    """Returns the Modelfile of the model in a folder, and why it has no template; empty where it has one.

    Args:
        folder: of the tokenizer and its template.
        file: the GGUF file's name.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    form = conversation_form(lambda messages, generation: _rendered(tokenizer, messages, generation))
    lines, why = [f"FROM ./{file}"], ""
    template = "" if form is None else go_template(form, _bos_of_its_own(tokenizer))
    if form is None:
        why = "the chat template is not a plain one; write TEMPLATE in Go's template language"
        lines.append(f"# {why}.")
    elif _QUOTES in template or template[-1:] == '"':
        why = "its texts hold quotation marks that a Modelfile cannot"
        lines.append(f"# No TEMPLATE: {why}.")
    else:
        lines.append(f"TEMPLATE {_QUOTES}{template}{_QUOTES}")
    lines += [f"PARAMETER stop {json.dumps(text, ensure_ascii=False)}" for text in stops(tokenizer, folder)]
    return "\n".join(lines) + "\n", why


def stops(tokenizer: Any, folder: Path) -> list[str]:
    """Returns the texts of the tokens that end an answer."""
    settings = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    ids = settings.get("eos_token_id")
    return [tokenizer.decode([i]) for i in (ids if isinstance(ids, list) else [] if ids is None else [ids])]


def go_template(form: ConversationForm, bos: str = "") -> str:
    """Returns a form in Go's template language, over Ollama's ``.Messages``.

    Args:
        form: the texts.
        bos: what Ollama puts in front by itself, and the template leaves out.
    """
    start = form.start.removeprefix(bos)
    inner = _around(form.system, ".Content") if form.system else ""
    user, assistant = (_around(pair, ".Content") for pair in (form.user, form.assistant))
    parts = [_text(start)]
    if form.default:
        parts.append(f"{{{{ if not .System }}}}{_text(form.default)}{{{{ end }}}}")
    if form.folded and form.system:
        within = f"{{{{ if and $.System (eq $i 1) }}}}{_around(form.system, '$.System')}{{{{ end }}}}"
        user = f"{_text(form.user[0])}{within}{{{{ .Content }}}}{_text(form.user[1])}"
        inner = ""
    parts.append("{{ range $i, $_ := .Messages }}")
    parts.append(f'{{{{ if eq .Role "user" }}}}{user}{{{{ else if eq .Role "assistant" }}}}{assistant}')
    parts.append(f'{{{{ else if eq .Role "system" }}}}{inner}' if inner else "")
    parts.append("{{ end }}{{ end }}" + _text(form.answer))
    return "".join(parts)


def _around(pair: tuple[str, str] | None, value: str) -> str:
    before, after = pair or ("", "")
    return f"{_text(before)}{{{{ {value} }}}}{_text(after)}"


def _text(text: str) -> str:
    """Returns a text as it stands in a template: what would open an action is written as a string within one."""
    return '{{ "{{" }}'.join(text.split("{{"))


def _bos_of_its_own(tokenizer: Any) -> str:
    """Returns the BOS that llama.cpp adds by itself; empty where it adds none."""
    bos = tokenizer.bos_token_id
    adds = bos is not None and list(tokenizer.encode("a"))[:1] == [bos]
    return str(tokenizer.bos_token) if adds else ""


def _rendered(tokenizer: Any, messages: Sequence[Message], generation: bool) -> str:
    turns = [message.as_dict() for message in messages]
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=generation))
