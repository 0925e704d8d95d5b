"""The refusal rule by place and form: finds responses that refuse, not those that merely contain such words.

A model that refuses says so in its own voice and early: its first sentences, after apologies and other openers, say
that it is an AI, that it cannot help, or what it lacks. Words in quotation marks or code are not its own and do not
count, nor do later sentences of long answers, so a story whose hero says "I cannot" stays.

What counts as a refusal depends on what was asked for:

- A plain request: each of the configured phrases at the start of an early sentence, and all forms of
  `patterns`. A sentence that starts with "As an AI, I ..." counts anywhere.
- A text in some voice (a story, a letter, a translation): its first person may not be the model, so only forms that
  refer to the request itself count ("I cannot write such a story"), and hardly any after a letter's salutation.
- A question about the assistant itself: "I'm an AI" answers it.

tests/filtering/refusal/test_refusal_form.py measures precision and recall.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from synthetic_instruction_tuner.filtering.refusal import patterns
from synthetic_instruction_tuner.filtering.refusal.keywords import checked_phrases, phrase_pattern, straight
from synthetic_instruction_tuner.filtering.rule import TextRule, Verdict, shorten
from synthetic_instruction_tuner.records import Record

OPENING = 300  # characters; of longer responses, sentences that start later count only if they are among the first
FIRST = 3  # sentences
SHORT = 60  # words; every sentence of such a response counts
LOOKED_AT = 20_000  # characters of the response; later text does not refuse
SENTENCE = 300  # characters of a sentence; refusals are at its start


ECHOED = ("plain", "voice", "given_text")  # contexts where "I cannot" with a verb of the request refuses it
Forms = tuple[re.Pattern[str], ...]


class RefusalForm(TextRule):
    """The response must not refuse, or speak as an AI instead of answering."""

    name: ClassVar[str] = "refusal"

    def __init__(self, phrases: Iterable[str]) -> None:
        """Takes phrases that count as refusals at the start of an early sentence, in addition to the built-in forms.

        Without phrases, every record passes. Raises UserError for a phrase without a word.
        """
        self.phrases = checked_phrases(phrases)
        self._phrases = tuple(phrase_pattern(phrase) for phrase in self.phrases)

    def basis(self) -> dict[str, Any]:
        """Returns the phrases."""
        return {"rule": "form", "phrases": list(self.phrases)}

    def signal(self, record: Record) -> list[Any] | None:
        """Returns the words of the refusal and their place, in characters from the response's start."""
        if not self.phrases:
            return None
        text = straight(record.response[:LOOKED_AT])
        short = len(text.split()) <= SHORT
        late = not short and patterns.AI_HINT.search(text, OPENING) is not None
        if not late and not self._may_refuse(text[: FIRST * SENTENCE]):
            return None
        asked = straight(record.instruction[:LOOKED_AT])
        context = context_of(asked, text)
        own = _own_words(text, unquote=context == "plain")
        forms, within = self._forms(asked, context)
        verbs = _verbs(asked) if context in ECHOED else frozenset()
        starts = list(_sentence_starts(own))
        for number, (place, end) in enumerate(zip(starts, [*starts[1:], len(own)], strict=True)):
            early = short or number < FIRST or place <= OPENING
            if not early and not (late and context == "plain"):
                break
            sentence = own[place : min(end, place + SENTENCE)]
            if early and self._may_refuse(sentence):
                found = _refusal(sentence, forms, within if short else (), verbs)
            else:
                found = None if early else _refusal(sentence, (patterns.SPEAKS_AS_AI,))
            if found is not None:
                start = place + found[0]
                return [shorten(record.response[start : start + len(found[1])], 60), start]
        return None

    def decide(self, signal: list[Any] | None) -> Verdict:
        """Drops refusals."""
        limit = "no refusal"
        if signal is None:
            return Verdict(self.name, True, None, limit)
        words, place = signal
        reason = f"the response refuses: '{words}' at character {place}"
        return Verdict(self.name, False, f"{words} @ {place}", limit, reason)

    def _may_refuse(self, text: str) -> bool:
        return patterns.HINT.search(text) is not None or any(phrase.search(text) for phrase in self._phrases)

    def _forms(self, asked: str, context: str) -> tuple[Forms, Forms]:
        """Returns the patterns that count at the start of a sentence, and those that count after a comma."""
        if context != "plain":
            return patterns.FORMS[context], ()
        phrases = self._phrases if not patterns.ABOUT_AI.search(asked) else ()
        return (*phrases, *patterns.FORMS[context]), patterns.IN_CLAUSES


def context_of(asked: str, response: str = "") -> str:
    """Returns what an instruction asks for: ``plain``, ``voice``, ``given_text``, ``ai_voice`` or ``self``.

    ``given_text`` asks to reword a text in the instruction, ``ai_voice`` asks for a text about AI.

    Args:
        asked: the instruction, as `straight` returns it.
        response: the response, of which a salutation makes a ``voice`` a ``letter``.
    """
    words = asked[:4000]
    if len(words.split()) <= patterns.SELF_WORDS and patterns.SELF.search(words):
        return "self"
    if not patterns.VOICE.search(words):
        return "plain"
    if patterns.SALUTATION.match(response):
        return "letter"
    if patterns.GIVEN_TEXT.search(words):
        return "given_text"
    return "ai_voice" if patterns.ABOUT_AI.search(words) else "voice"


def _verbs(asked: str) -> frozenset[str]:
    """The words of the request itself, without the text that it is about: one of them may be its verb."""
    request = patterns.QUOTED.sub(" ", asked[:300]).partition(":")[0]
    return frozenset(word for word in re.findall(r"[a-z]{4,20}", request) if word not in patterns.NO_VERBS)


def _refusal(
    sentence: str, forms: Forms, within: Forms = (), verbs: frozenset[str] = frozenset()
) -> tuple[int, str] | None:
    """Returns the offset and words of the refusal at a sentence's start, before or after its openers.

    Args:
        sentence: the sentence.
        forms: the patterns that count there.
        within: the patterns that count after a comma, too.
        verbs: verbs of the request; "I cannot" with one of them counts wherever a form does.
    """
    starts = [_end(patterns.MARKS, sentence), _end(patterns.OPENERS, sentence)]
    tries = [(start, forms) for start in dict.fromkeys(starts)]
    if within:
        tries += [(boundary.end(), within) for boundary in patterns.CLAUSE.finditer(sentence)]
    for start, some in tries:
        for form in some:
            if match := form.match(sentence, start):
                return start, match.group()
        if verbs and (match := patterns.CANNOT_VERB.match(sentence, start)) and match["verb"] in verbs:
            return start, match.group()
    return None


def _end(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.match(text)
    return match.end() if match else 0


def _own_words(text: str, unquote: bool) -> str:
    """The text with quotations and code blanked out, each character in its place."""
    inner = text.strip()
    wrapped = len(inner) > 2 and inner[0] in '"“' and inner[-1] in '"”' and not re.search('["“”]', inner[1:-1])
    if wrapped and (unquote or patterns.WHOLE_REFUSAL.match(inner, 1)):  # the whole answer is in quotation marks
        return re.sub('["“”]', " ", text)
    return patterns.QUOTED.sub(lambda match: "□" * len(match.group()), text)


def _sentence_starts(text: str) -> Iterator[int]:
    end = 0
    for match in patterns.SENTENCE_START.finditer(text):
        line = text.find("\n", match.end())
        if match.end() < len(text) and match.end() != line and match.end() >= end:
            end = match.end()
            yield end
