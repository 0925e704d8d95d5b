"""GGUF files by llama.cpp's tools, and Ollama's template, which must write what the chat template writes."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from export_bases import TOKENS, base_model, lora, soft_prompt

from packaged_templates import TEMPLATES, tokenizer_with
from random_models import CHATML, LLAMA3
from synthetic_instruction_tuner.config import ModelConfig
from synthetic_instruction_tuner.errors import RunError, UserError
from synthetic_instruction_tuner.exporting.card import CardFacts
from synthetic_instruction_tuner.exporting.export import Export
from synthetic_instruction_tuner.exporting.llama_cpp.conversation_form import conversation_form
from synthetic_instruction_tuner.exporting.llama_cpp.modelfile import go_template
from synthetic_instruction_tuner.records import Message

DEFAULT_SYSTEM = "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n{% endif %}" + CHATML
FOLDED = (
    "{% if messages[0]['role'] == 'system' %}{% set s = '<<SYS>>' + messages[0]['content'] + '<</SYS>>\n\n' %}"
    "{% set messages = messages[1:] %}{% else %}{% set s = '' %}{% endif %}{{ bos_token }}"
    "{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ (s if loop.first else '') + m['content'] }} [/INST]"
    "{% else %} {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)
BRACES = CHATML.replace("<|im_start|>", "{{ '{{' }}x")
ODD = "{% for m in messages %}{{ loop.index }}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}A:"
PLAIN = {"chatml": CHATML, "llama3": LLAMA3, "default": DEFAULT_SYSTEM, "folded": FOLDED, "braces": BRACES}
U, A, S = Message("user", "one"), Message("assistant", "two\nlines"), Message("system", "Be brief.")
CONVERSATIONS = [[U], [U, A, U], [U, A, U, A, U]]


def go(template: str, messages: Sequence[Message]) -> str:
    """Runs the part of Go's template language that is used here."""
    tokens = re.split(r"(\{\{.*?\}\})", template)
    system = next((m.content for m in messages if m.role == "system"), "")

    def value(expression: str, scope: dict[str, Any]) -> Any:
        words = re.findall(r'"[^"]*"|\(.*\)|\S+', expression)
        if words[0] == "not":
            return not value(words[1], scope)
        if words[0] == "eq":
            return value(words[1], scope) == value(words[2], scope)
        if words[0] == "and":
            return all(value(word.strip("()"), scope) for word in words[1:])
        if words[0].startswith('"'):
            return words[0][1:-1]
        return int(words[0]) if words[0].isdigit() else scope[words[0]]

    def block(at: int, scope: dict[str, Any], live: bool) -> tuple[str, int, str]:
        out = ""
        while at < len(tokens):
            token = tokens[at]
            if not token.startswith("{{"):
                out, at = out + (token if live else ""), at + 1
                continue
            action = token[2:-2].strip()
            if action == "end" or action.startswith("else"):
                return out, at, action
            if action.startswith("range"):
                body, after = "", at + 1
                for number, message in enumerate(messages):
                    inner = scope | {".Role": message.role, ".Content": message.content, "$i": number}
                    text, after, _ = block(at + 1, inner, live)
                    body += text
                out, at = out + body, after + 1
            elif action.startswith("if "):
                taken, condition = False, action[3:]
                while True:
                    now = live and not taken and (condition == "" or bool(value(condition, scope)))
                    text, at, closing = block(at + 1, scope, now)
                    out, taken = out + text, taken or now
                    if closing == "end":
                        break
                    condition = closing.removeprefix("else").strip().removeprefix("if ").strip()
                at += 1
            else:
                out, at = out + (str(value(action, scope)) if live else ""), at + 1
        return out, at, ""

    return block(0, {".System": system, "$.System": system, ".Messages": messages}, True)[0]


def rendered(tokenizer: Any, messages: Sequence[Message], generation: bool = True) -> str:
    turns = [message.as_dict() for message in messages]
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=generation))


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_template_is_the_same_in_go(name: str) -> None:
    tokenizer = tokenizer_with(PLAIN[name])
    form = conversation_form(lambda messages, generation: rendered(tokenizer, messages, generation))
    assert form is not None and form.system is not None
    template = go_template(form)
    for messages in (*CONVERSATIONS, *([S, *rest] for rest in CONVERSATIONS)):
        assert go(template, messages) == rendered(tokenizer, messages)


def test_templates_of_known_models_are_right_or_said_to_be_of_another_kind() -> None:
    found = []
    one_of_each = {re.split(r"[^a-z]", file.stem)[0]: file for file in reversed(TEMPLATES)}
    for file in one_of_each.values():
        tokenizer = tokenizer_with(file.read_text(encoding="utf-8"))
        form = conversation_form(lambda messages, generation, t=tokenizer: rendered(t, messages, generation))
        if form is None:
            continue
        found.append(file.stem)
        given = CONVERSATIONS + ([[S, *rest] for rest in CONVERSATIONS] if form.system else [])
        assert all(go(go_template(form), messages) == rendered(tokenizer, messages) for messages in given), file.name
    assert len(found) >= 3, found


def test_a_template_of_another_kind_has_no_form() -> None:
    tokenizer = tokenizer_with(ODD)
    assert conversation_form(lambda messages, generation: rendered(tokenizer, messages, generation)) is None


CONVERTER = """
import sys, pathlib
arguments = sys.argv[1:]
out = pathlib.Path(arguments[arguments.index("--outfile") + 1])
assert (pathlib.Path(arguments[0]) / "model.safetensors").is_file() and {fail}
out.write_text(arguments[arguments.index("--outtype") + 1])
"""
QUANTIZER = """#!{python}
import sys, pathlib
source, target, kind = sys.argv[1:4]
pathlib.Path(target).write_text(pathlib.Path(source).read_text() + " as " + kind)
"""


def tools(folder: Path, fail: bool = False) -> Path:
    (folder / "build/bin").mkdir(parents=True)
    (folder / "convert_hf_to_gguf.py").write_text(CONVERTER.format(fail=not fail))
    quantizer = folder / "build/bin/llama-quantize"
    quantizer.write_text(QUANTIZER.format(python=sys.executable))
    quantizer.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("gguf")
    base = base_model(root / "base", "llama", kind="llama3")
    lora(base, root / "sft")
    soft_prompt(base, root / "prompt_tuning")
    return root


def job(root: Path, variant: str, gguf: str) -> Export:
    return Export(ModelConfig(path=str(root / "base"), name="tiny"), variant, root / variant, gguf=gguf)


@pytest.mark.parametrize(
    ("variant", "gguf", "text"), [("sft", "q8_0", "q8_0"), ("prompt_tuning", "q4_k_m", "f16 as Q4_K_M")]
)
def test_the_tools_are_called_and_a_modelfile_is_beside(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: str, gguf: str, text: str
) -> None:
    monkeypatch.setenv("LLAMA_CPP", str(tools(tmp_path / "llama.cpp")))
    job(exported, variant, gguf).write(tmp_path / "out", CardFacts("x"))
    assert (tmp_path / f"out/tiny-{variant}-{gguf}.gguf").read_text() == text
    assert [path.name for path in (tmp_path / "out").glob("*.gguf")] == [f"tiny-{variant}-{gguf}.gguf"]
    lines = (tmp_path / "out/Modelfile").read_text()
    assert lines.startswith(f"FROM ./tiny-{variant}-{gguf}.gguf\n") and 'PARAMETER stop "<|eot_id|>"' in lines
    template = lines.split('"""')[1]
    # llama.cpp adds the BOS of an ordinary export; where tokens stand before it, the template writes it
    start = "".join(f"<|soft_prompt_{i}|>" for i in range(TOKENS)) + "<|begin|>" if variant != "sft" else ""
    assert template.startswith(f"{start}{{{{ range")
    assert go(template, [U]) == f"{start}<|start_header_id|>user<|end_header_id|>\n\none<|eot_id|>" + (
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_without_the_tools_it_is_said_how_to_get_them(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LLAMA_CPP", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match=r"convert_hf_to_gguf\.py is neither") as error:
        job(exported, "sft", "f16").write(tmp_path / "out", CardFacts("x"))
    assert "git clone" in error.value.fix
    (tmp_path / "convert_hf_to_gguf.py").touch(0o755)
    with pytest.raises(UserError, match="llama-quantize is neither"):
        job(exported, "sft", "q4_k_m").write(tmp_path / "out", CardFacts("x"))
    assert not (tmp_path / "out").exists()


def test_a_tool_that_fails_leaves_no_export(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_CPP", str(tools(tmp_path / "llama.cpp", fail=True)))
    with pytest.raises(RunError, match=r"convert_hf_to_gguf\.py did not write") as error:
        job(exported, "sft", "q8_0").write(tmp_path / "out", CardFacts("x"))
    assert "AssertionError" in error.value.cause and str(tmp_path) not in error.value.cause
    assert [path.name for path in tmp_path.iterdir()] == ["llama.cpp"]
