"""Both languages are in step: each sentence has a translation, with the same places, and none is left over."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from string import Formatter
from typing import get_args

import pytest
import yaml
from jinja2 import Environment, nodes

import synthetic_instruction_tuner.reporting
from synthetic_instruction_tuner.config import BENCHMARKS, load_config
from synthetic_instruction_tuner.data_generation.faults import FAULTS
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.evaluation.agent_bench.agent_benchmarks import AGENTS
from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark
from synthetic_instruction_tuner.evaluation.benchmarks.mt_bench.probes import PROBES
from synthetic_instruction_tuner.evaluation.benchmarks.published import Availability
from synthetic_instruction_tuner.evaluation.benchmarks.published_scores import PUBLISHED_SCORES
from synthetic_instruction_tuner.filtering.advice import ADVICE, advice
from synthetic_instruction_tuner.filtering.rule import Verdict
from synthetic_instruction_tuner.methods import LABELS
from synthetic_instruction_tuner.preference.pair_selection import Reason
from synthetic_instruction_tuner.reporting.agents.details import STATES
from synthetic_instruction_tuner.reporting.figures.curves import MARGINS
from synthetic_instruction_tuner.reporting.language.translation import (
    LANGUAGES,
    retold,
    say,
    speaking,
    spoken,
    term,
    translations,
)
from synthetic_instruction_tuner.reporting.licenses import CLASSES, NOTES
from synthetic_instruction_tuner.reporting.text_lengths import KINDS
from synthetic_instruction_tuner.run.roles import used_models
from synthetic_instruction_tuner.run.stages.report import STAGE as REPORTED
from synthetic_instruction_tuner.training.monitoring.curve import both_fell, flat_loss
from synthetic_instruction_tuner.training.recovery.events import Reason as Trouble

PACKAGE = Path(next(iter(synthetic_instruction_tuner.reporting.__path__)))
TABLE = resources.files("synthetic_instruction_tuner.reporting.language").joinpath("ko.yaml").read_text("utf-8")
KOREAN = translations("ko")
HANGUL = re.compile("[가-힣]")
NAMES = {"LoRA SFT", "SFT + DPO", "DPO", "Hugging Face Hub", "sft", "dpo"}
JOINTS = {
    "; ",
    " and ",
    "{parts} or {last}",
    "{parts} and {last}",
    "{low} to {high}",
    "{benchmark} ({size})",
    " ({seed})",
}
JOINTS |= {"{benchmark} ({size})", "{method} of {student}: {text}.", "{time} with {method}", "percentage point"}


def said() -> Iterator[str]:
    """The sentences in the code and in the templates."""
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say":
                assert isinstance(node.args[0], ast.Constant), f"{file.name}:{node.lineno}: not a literal"
                yield node.args[0].value
    for file in (PACKAGE / "templates").glob("*.md"):
        for call in Environment().parse(file.read_text(encoding="utf-8")).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "say":
                assert isinstance(call.args[0], nodes.Const), f"{file.name}:{call.lineno}: not a literal"
                yield call.args[0].value


def told() -> Iterator[str]:
    """The words and sentences from the rest of the package that documents show."""
    for known in (benchmark(name) for name in BENCHMARKS):
        yield from (known.title, *(metric.title for metric in known.metrics), *([known.form] if known.form else []))
    for agent in AGENTS:
        yield from (agent.title, agent.levels, agent.comparable, agent.text.protocol)
        yield from [agent.tools.protocol] if agent.tools else []
    for name in (*ADVICE, *FAULTS, *get_args(Reason)):
        yield name.replace("_", " ")
    yield from (label.rpartition(" + ")[2] for label in LABELS.values())
    yield from (*STATES, *get_args(Trouble), *LABELS.values(), *CLASSES, *(note for _, note in NOTES), *KINDS.values())
    yield from (label for _, label, _ in MARGINS)
    yield from (role for role, _ in used_models(load_config()))
    yield from (probe.title for probe in PROBES)
    yield from (score.how for score in PUBLISHED_SCORES.values())
    yield from (
        "Figure",
        *(name.replace("_", " ") for name in REPORTED.inputs),
        "Table",
        "percentage point",
        "unit of the score",
        "records",
        "prompts",
        "pairs",
        "done",
        "failed",
    )


def places(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name is not None}


def test_every_sentence_has_a_translation() -> None:
    assert {sentence for sentence in (*said(), *told()) if sentence not in KOREAN.sentences} == set()


def test_no_translation_of_what_nobody_says_any_more() -> None:
    source = "".join(file.read_text(encoding="utf-8") for file in PACKAGE.parent.rglob("*.py"))
    left = set(KOREAN.sentences) - {*said(), *told()}
    assert {word for word in left if f'"{word}"' not in source} == set()


def test_translations_have_the_same_places() -> None:
    for english, korean in (*KOREAN.sentences.items(), *KOREAN.kept.items()):
        assert places(english) == places(korean), english


def test_translations_are_korean() -> None:
    for english, korean in (*KOREAN.sentences.items(), *KOREAN.kept.items()):
        assert HANGUL.search(korean) or english in NAMES | JOINTS, english


def test_no_sentence_is_in_the_table_twice() -> None:
    for _, part in yaml.compose(TABLE, yaml.SafeLoader).value:
        assert [key for key, n in Counter(key.value for key, _ in part.value).items() if n > 1] == []


@pytest.mark.parametrize("name", ["report_template.md", "presentation_template.md", "data_card.md"])
def test_no_sentence_stands_in_a_template_outside_of_what_is_said(name: str) -> None:
    tree = Environment().parse((PACKAGE / "templates" / name).read_text(encoding="utf-8"))
    text = " ".join(data.data for data in tree.find_all(nodes.TemplateData))
    text = re.sub(r"```python.*?```", "", text, flags=re.DOTALL)
    words = set(re.findall(r"[A-Za-z]{2,}", re.sub(r"</?(?:details|summary)>", "", text)))
    assert words <= {"SVG", "svg"}


def test_english_is_what_is_written() -> None:
    assert spoken() == "en" and LANGUAGES == ("en", "ko")
    assert say("{n:,} items", n=1500) == "1,500 items"
    assert (term("base"), retold("2 of 9 records skipped")) == ("base", "2 of 9 records skipped")


def test_a_language_lasts_as_long_as_its_block() -> None:
    with pytest.raises(RuntimeError), speaking("ko"):
        assert say("{n:,} items", n=1500) == "문항 1,500개"
        raise RuntimeError
    assert spoken() == "en"
    with pytest.raises(ValueError, match="fr"), speaking("fr"):
        pass


def test_values_are_shown_as_they_are() -> None:
    with speaking("ko"):
        shown = say("{variant} shows no proven difference", variant="{x}은(는) {y} 0")
    assert shown == "{x}은(는) {y} 0은 입증된 차이를 보이지 않는다"


STEPS = [
    {"loss": 2.0, "learning_rate": 1e-4, "chosen_reward": -1.0 - k / 100, "rejected_reward": -2.0} for k in range(60)
]


@pytest.mark.parametrize(
    "text",
    [
        Availability(500, published=541).chosen(500),
        Availability(541, published=541).chosen(541),
        Availability(541, published=541).chosen(100),
        Availability(500, published=541).chosen(100),
        Availability(14042, published=14042, parts="57 of 57 subjects").chosen(1000),
        flat_loss(STEPS) or "",
        both_fell(STEPS) or "",
        "nf4, computed in bfloat16",
        "most frequent reason: truncated (5)",
        "3 requests for tags failed: too long (3)",
        "12 of 72 solved; nano_os left out: no sandbox on this machine",
        "1,000 pass; 12 pass beyond the target; not yet checked: reward and tags",
        "skipped: records are read from a.jsonl and b.jsonl",
        "J, related to student S (qwen); reward model of the pairs R (qwen)",
        "Its ratings are not reliable: padding does not win: 3 of 8; an empty answer loses: 1 of 8.",
        "bubblewrap 0.8.0, this machine's programs, one user, memory and processes limited by control groups",
        "docker, image sit-os:1",
        "no environment",
        "Without the 3 prompts that are known to be faulty",
        "data, preference: stage prefer is not done yet",
    ],
)
def test_what_stages_keep_is_told_again(text: str) -> None:
    assert text
    with speaking("ko"):
        told = retold(text)
    names = r"[a-z]+(?:_[a-z]+|\.[a-z_]+)+|nf4|bfloat16|jsonl|qwen|truncated|too long|reward|tags|and|preference"
    rest = re.sub(names, "", told)
    assert HANGUL.search(told) and not re.search(r"[a-z]{4,} [a-z]{2,}", rest), told


def failed(rule: str, value: float | str) -> Verdict:
    return Verdict(rule, False, value, None, "")


def advised() -> list[str]:
    """What is advised for each rule, for a failure of each kind."""
    overrides = [
        "filter.tags.model.path=nano:generator",
        "filter.tags.min_quality=3",
        "filter.tags.max_difficulty=4",
        "filter.min_reward=1",
    ]
    settings = load_config(overrides=overrides).filter
    failures = [failed(rule, "de 0.99") for rule in ADVICE if rule not in ("length", "tokens")]
    failures += [failed(rule, value) for rule in ("length", "tokens") for value in (-1, 9999)]
    failures += [failed("truncated", "instruction"), failed("empty", "response")]
    return [advice(one, settings, asked) for one in failures for asked in (None, "en")]


@pytest.mark.parametrize("text", [*dict.fromkeys(advised())])
def test_advice_is_told_again(text: str) -> None:
    with speaking("ko"):
        told = retold(f"What helps for length: {text}.")
    settings = re.sub(r"[\w.]*[._=][\w.=]*|'sit doctor MODEL'|English|German|generate", "", told)
    assert "규칙에 도움이 되는 방법" in told and not re.search(r"[A-Za-z]{3,} [A-Za-z]{2,}", settings), told


def test_how_writing_ended_is_told_again() -> None:
    text = (
        "800 pass: domain a stopped early, generate.count (1,500) has been reached. Domain a: 300 of 500 pass; only 3 "
        "of the latest 96 pass; of 900 written, 600 fail: length (400), refusal (150), others (50). To write more, "
        "raise generate.count to about 2,000."
    )
    with speaking("ko"):
        told = retold(text)
    assert told == (
        "800개 통과: 도메인 a 일찍 멈춤, generate.count(1,500)에 이름. 도메인 a: 500개 중 300개 통과; "
        "최근 96개 중 3개만 통과; 쓴 900개 중 600개 탈락: length (400), refusal (150), 기타 (50). "
        "더 쓰려면 generate.count를 약 2,000으로 올린다."
    )


def test_what_no_table_knows_stays_as_it_is() -> None:
    with speaking("ko"):
        assert retold("the moon fell; 2 of 9 records skipped") == "the moon fell; 레코드 9개 중 2개 건너뜀"
        assert term("my own domain") == "my own domain"


@pytest.mark.parametrize("value", ["fr", "KO", "1", "null"])
def test_a_language_that_there_is_not_is_refused_with_those_that_there_are(value: str) -> None:
    with pytest.raises(UserError) as refused:
        load_config(overrides=[f"report.language={value}"])
    shown = " ".join(map(str, refused.value.args)) + str(refused.value)
    assert "report.language" in shown and "'en'" in shown and "'ko'" in shown
