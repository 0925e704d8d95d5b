"""Advice for a rule that drops too much: every rule has its own, and it names only settings that exist."""

from __future__ import annotations

import re

import pytest
from pydantic import BaseModel

from synthetic_instruction_tuner.config import Config, FilterConfig, load_config
from synthetic_instruction_tuner.filtering.advice import ADVICE, advice
from synthetic_instruction_tuner.filtering.quality_filter import QualityFilter
from synthetic_instruction_tuner.filtering.rule import Verdict

SETTING = re.compile(r"\b(?:filter|generate)(?:\.[a-z_]+)+")
ALL = {
    "tokenizer": "nano:generator",
    "contamination": {"benchmarks": ["nano"]},
    "tags": {"model": {"path": "nano:generator"}, "min_quality": 2, "categories": ["Math"]},
    "min_reward": -1.5,
}


def settings(**values: object) -> FilterConfig:
    return FilterConfig.model_validate(ALL | values)


def exists(config: BaseModel, name: str) -> bool:
    found: object = config
    for part in name.split("."):
        if not isinstance(found, BaseModel) or part not in type(found).model_fields:
            return False
        found = getattr(found, part)
    return True


def test_every_rule_has_advice_of_its_own() -> None:
    names = {
        name for rule in ("form", "keywords") for name in QualityFilter(settings(refusal_rule=rule), ()).rule_names
    }
    assert names == set(ADVICE)
    said = {advice(Verdict(name, False, 1, None, "why"), settings()) for name in names}
    assert len(said) == len(names)


@pytest.mark.parametrize("value", [None, 0, 10**9, "de 0.990", "instruction: hit its token limit", "response"])
@pytest.mark.parametrize("name", [*ADVICE, "a rule of one's own"])
def test_advice_names_settings_that_exist(name: str, value: float | str | None) -> None:
    config: Config = load_config()
    for rule in ("form", "keywords"):
        text = advice(Verdict(name, False, value, None, "why"), settings(refusal_rule=rule))
        assert text and not text.endswith(".") and text[:1].islower()
        assert all(exists(config, found) for found in SETTING.findall(text)), text


def test_advice_fits_what_was_found() -> None:
    config = settings(min_words=20, max_words=500, language="en")
    assert "filter.min_words (20)" in advice(Verdict("length", False, 3, "20..500"), config)
    assert "filter.max_words (500)" in advice(Verdict("length", False, 501, "20..500"), config)
    assert "generate.language=en" in advice(Verdict("language", False, "de 0.990", "en"), config)
    assert "keep German with filter.language=de" in advice(Verdict("language", False, "de 0.990", "en"), config)
    assert "generate.instruction.max_new_tokens" in advice(Verdict("truncated", False, "instruction: x", None), config)
    assert "generate.response.max_new_tokens" in advice(Verdict("truncated", False, "response: x", None), config)
    assert "min_quality (2)" in advice(Verdict("tags", False, "quality 1", None), config)


def test_a_language_that_was_asked_for_is_not_advised_again() -> None:
    text = advice(Verdict("language", False, "en 0.990", "de"), settings(language="de"), "de")
    assert "generate.language" not in text and "a generator that can write German" in text
