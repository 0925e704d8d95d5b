"""Sentences in the language of the document that is being written.

The English sentence is the key of its translation, as in gettext: it is read where it is used, and English documents
need no table. A table is a YAML file beside this module with two parts: ``sentences``, which the report writes, and
``kept``, which stages have written into the store in English, with places for what differs from run to run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib import resources
from string import Formatter
from typing import Any

from synthetic_instruction_tuner.reporting.language.particles import with_particles

ENGLISH, KOREAN = "en", "ko"
LANGUAGES = (ENGLISH, KOREAN)

NUMBER, ANYTHING = r"[\d,.]+", ".+?"  # what a place of a kept sentence holds: {n:n} a number, {text} any text

BETWEEN = re.compile(r"(; |(?<=\.) (?=[A-Z]))")  # parts of what is kept

_current: ContextVar[str] = ContextVar("language", default=ENGLISH)


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Makes this the language of all documents that are written inside, in this thread.

    Args:
        language: one of `LANGUAGES`.
    """
    if language not in LANGUAGES:
        raise ValueError(f"no table for the language {language!r}")
    before = _current.set(language)
    try:
        yield
    finally:
        _current.reset(before)


def spoken() -> str:
    """Returns the language of the document that is being written, one of `LANGUAGES`."""
    return _current.get()


def say(sentence: str, /, **values: Any) -> str:
    """Returns a sentence in the document's language, with the values in its places.

    Args:
        sentence: in English, a literal, with a replacement field for each value as `str.format` has it.
        values: what stands in these places, by name. A translation has the same names, in its own order.
    """
    language = spoken()
    if language == ENGLISH:
        return sentence.format(**values)
    return _filled(translations(language).sentences.get(sentence, sentence), values)


def term(word: str) -> str:
    """Returns a word or sentence that comes from elsewhere in the package in the document's language.

    A name that the table does not have, such as a domain of the user's own, stays as it is.
    """
    language = spoken()
    return word if language == ENGLISH else translations(language).sentences.get(word, word)


def retold(text: str) -> str:
    """Returns what a stage has kept in English, such as a note, in the document's language.

    Sentences, and parts between semicolons, are told one by one; what the table does not know stays as it is.
    """
    language = spoken()
    if language == ENGLISH or not text:
        return text
    known = translations(language)
    if told := known.retold(text):
        return told
    parts = BETWEEN.split(text)
    if len(parts) == 1:
        return term(text)
    return "".join(part if BETWEEN.fullmatch(part) else retold(part) for part in parts)


@dataclass(frozen=True, slots=True)
class Translations:
    """The table of one language.

    Attributes:
        sentences: by the English sentence.
        kept: by the English sentence, those that stages keep.
        patterns: what finds a kept sentence, with a group for each of its places and one for its final stop, which it
            may have or not; and its translation without the stop.
    """

    sentences: Mapping[str, str]
    kept: Mapping[str, str]
    patterns: tuple[tuple[re.Pattern[str], str], ...]

    def retold(self, text: str) -> str:
        """Returns a kept sentence in this language; empty where the table does not know it."""
        for pattern, translation in self.patterns:
            if found := pattern.fullmatch(text):
                values = {name: retold(value) for name, value in found.groupdict().items()}
                return _filled(translation, values) + found[pattern.groups]
        return ""


@cache
def translations(language: str) -> Translations:
    """Returns the table of a language other than English."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = resources.files(__package__).joinpath(f"{language}.yaml").read_text(encoding="utf-8")
    table = yaml.load(text, loader)
    kept = {english.removesuffix("."): told.removesuffix(".") for english, told in table["kept"].items()}
    patterns = tuple((_pattern(english), told) for english, told in kept.items())
    return Translations(table["sentences"], table["kept"], patterns)


def _filled(translation: str, values: Mapping[str, Any]) -> str:
    """Fills the places of a translation from the left: a particle goes by what stands before it."""
    made = ""
    for literal, name, form, _ in Formatter().parse(translation):
        made = with_particles(made, literal)
        if name is not None:
            made += format(values[name], form or "")
    return made


def _pattern(sentence: str) -> re.Pattern[str]:
    parts = []
    for literal, name, form, _ in Formatter().parse(sentence):
        parts.append(re.escape(literal))
        if name is not None:
            parts.append(f"(?P<{name}>{NUMBER if form == 'n' else ANYTHING})")
    return re.compile("".join(parts) + r"(\.?)")
