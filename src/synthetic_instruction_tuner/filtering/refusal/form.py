"""The refusal rule by place and form: finds responses that refuse, not those that merely contain such words.

A model that refuses says so in its own voice and early: its first sentences, after apologies and other openers, say
that it is an AI, that it cannot help, or what it lacks. Words in quotation marks or code are not its own and do not
count, nor do later sentences of long answers, so a story whose hero says "I cannot" stays. Only a refusal of the
request itself may come later, after a paraphrase of the request.

What counts as a refusal depends on what was asked for (`request`):

- A plain request: each of the configured phrases at the start of an early sentence, and all forms of `patterns`.
- A text in some voice (a story, a letter, a translation): its first person may not be the model, so only forms that
  refer to the request itself count ("I cannot write such a story"), and hardly any after a letter's salutation.
- A question about the assistant itself: "I'm an AI" answers it.

If the rest of the response answers (`substance`), the words are a disclaimer: "As an AI ..., however, here is ...".

tests/filtering/refusal/test_refusal_form.py measures precision and recall.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, ClassVar, Literal

from synthetic_instruction_tuner.config import FilterConfig
from synthetic_instruction_tuner.filtering.refusal import other_languages, patterns, sentences, structure
from synthetic_instruction_tuner.filtering.refusal.impersonal import NO, UNKNOWABLE
from synthetic_instruction_tuner.filtering.refusal.keywords import checked_phrases, phrase_pattern, straight
from synthetic_instruction_tuner.filtering.refusal.lecture import lecture, may_lecture
from synthetic_instruction_tuner.filtering.refusal.request import (
    ABOUT_AI,
    ALSO,
    DEED,
    QUESTION,
    WANTS_REFUSAL,
    WHO,
    YES_OR_NO,
    as_told,
    context_of,
    echoes,
    points_at_something,
    speaks_of_the_text,
    verbs_of,
)
from synthetic_instruction_tuner.filtering.refusal.substance import answers, hands_over, speaks_of_itself, substance
from synthetic_instruction_tuner.filtering.rule import TextRule, Verdict, shorten
from synthetic_instruction_tuner.records import Record

OPENING = 300  # characters; of longer responses, sentences that start later count only if they are among the first
FIRST = 3  # sentences
SHORT = 60  # words; every sentence of such a response counts
LOOKED_AT = 20_000  # characters of the response; later text does not refuse
SENTENCE = 300  # characters of a sentence; refusals are at its start
DEEP = 1500  # characters in which a refusal of the request itself may come after a paraphrase of it
PARAPHRASE = 60  # words that may precede it; after more of substance, it only limits an answer
VOICED = 40  # words that may precede it where a text in a voice of its own is asked for
ITEMS = 3  # lines of a list; so many are a list of what was asked for
TURNS = 2  # lines that begin with a name make a dialogue
OWN = 4000  # characters of which those in quotation marks are blanked out
UNSPOKEN = 400  # characters; a longer text in which nobody speaks refuses at its beginning, and by what it names
HITS = 5  # sentences with words of a refusal that are looked at; an answer to the first is most often one to all
DEFAULT_PHRASES = FilterConfig().refusal_phrases  # those that may begin a disclaimer; one's own always refuse
REFUSAL, DISCLAIMER = "refusal", "disclaimer"

ECHOED = ("plain", "voice", "given_text")  # contexts where "I cannot" with a verb of the request refuses it
BY_PARTS = ("plain", "voice", "ai_voice")  # contexts where the parts of a refusal count, in whatever words
Forms = tuple[re.Pattern[str], ...]


class RefusalForm(TextRule):
    """The response must not refuse, or speak as an AI instead of answering."""

    name: ClassVar[str] = "refusal"
    version: ClassVar[int] = 8

    def __init__(self, phrases: Iterable[str], disclaimers: Literal["keep", "drop"] = "keep") -> None:
        """Makes the rule.

        Args:
            phrases: what counts as a refusal at the start of an early sentence, in addition to the built-in forms;
                without phrases, every record passes.
            disclaimers: what to do with answers that begin with a disclaimer.

        Raises:
            UserError: a phrase without a word.
        """
        self.phrases = checked_phrases(phrases)
        self.disclaimers = disclaimers
        self._phrases = tuple(map(_of_the_model, self.phrases))
        self._words = tuple(straight(phrase).split()[-1] for phrase in self.phrases)
        self._own_phrases = tuple(phrase_pattern(phrase) for phrase in self.phrases if phrase not in DEFAULT_PHRASES)

    def basis(self) -> dict[str, Any]:
        """Returns the phrases."""
        return {"rule": "form", "phrases": list(self.phrases)}

    def limits(self) -> dict[str, Any]:
        """Returns what happens to disclaimers."""
        return {"disclaimers": self.disclaimers}

    def signal(self, record: Record) -> list[Any] | None:
        """Returns the words of the refusal, their place in characters from the start, and which kind it is."""
        if not self.phrases:
            return None
        text = straight(record.response[:DEEP])
        if other_languages.may_refuse(text) and (place := other_languages.refusal(text, straight(record.instruction))):
            return [shorten(record.response[place[0] : place[1]], 60), place[0], REFUSAL]
        if not self._may_refuse(text) and not structure.may_refuse(text):
            return None
        if len(record.response) > DEEP:
            text = straight(record.response[:LOOKED_AT])
        asked = straight(record.instruction[:LOOKED_AT])
        context = context_of(asked, text)
        if context in ECHOED and speaks_of_the_text(text, SHORT):
            context = "plain"
        if context in ECHOED and context != "plain" and sentences.STAGE_DIRECTION.match(text):
            return None
        found = self._find(text, asked, context)
        if found is None or as_told(text, asked):
            return None
        kind, start, end = found
        return [shorten(record.response[start:end], 60), start, kind]

    def decide(self, signal: list[Any] | None) -> Verdict:
        """Drops refusals, and disclaimers if they are not wanted."""
        limit = "no refusal" if self.disclaimers == "keep" else "no refusal, no disclaimer"
        if signal is None:
            return Verdict(self.name, True, None, limit)
        words, place, kind = signal
        if kind == REFUSAL:
            reason = f"the response refuses: '{words}' at character {place}"
            return Verdict(self.name, False, f"{words} @ {place}", limit, reason)
        value = f"{DISCLAIMER}: {words} @ {place}"
        if self.disclaimers == "keep":
            return Verdict(self.name, True, value, limit)
        reason = f"the response has a disclaimer before its answer: '{words}' at character {place}"
        return Verdict(self.name, False, value, limit, reason)

    def _find(self, text: str, asked: str, context: str) -> tuple[str, int, int] | None:
        """Returns the kind, start and end of the first words that refuse or, without any, of a disclaimer."""
        disclaimer, deed = None, context == "plain" and DEED.match(asked) is not None and not hands_over(text)
        for sentence, start, end, early in islice(self._hits(text, asked, context), HITS):
            if context != "plain" and len(text[:sentence].split()) > VOICED:
                return disclaimer  # the text that was asked for comes first
            refuses = context != "self" or any(form.match(text, start) for form in patterns.OF_ITSELF)
            wanted = deed or any(phrase.match(text, start) for phrase in self._own_phrases)
            weak = not wanted and any(form.match(text, start) for form in patterns.WEAK)
            if wanted or not answers(text, start, end, sentence, weak):
                if refuses and (early or substance(text[:sentence]) < PARAPHRASE):
                    return REFUSAL, start, end
            elif early and disclaimer is None and (not substance(text[:sentence]) or speaks_of_itself(text, sentence)):
                disclaimer = DISCLAIMER, start, end
        if disclaimer or context not in BY_PARTS:
            return disclaimer
        return _by_parts(text, asked, context)

    def _hits(self, text: str, asked: str, context: str) -> Iterator[tuple[int, int, int, bool]]:
        """Yields the start of each sentence that may refuse, the place of the words, and whether it is an early one."""
        own = _own_words(text[:OWN], unquote=context == "plain")
        head = own[: DEEP + SENTENCE]
        hints = self._hints(head)
        if not hints and "no " not in head:
            return
        short = len(text.split()) <= SHORT
        starts = sentences.sentence_starts(head)
        forms, within = self._forms(asked, context, short)
        request = asked if context in ECHOED else ""
        for number, (place, end) in enumerate(zip(starts, [*starts[1:], len(own)], strict=True)):
            early = short or number < FIRST or place <= OPENING
            if not early and place > DEEP:
                return
            end = min(end, place + SENTENCE)
            if bisect_left(hints, end) == bisect_left(hints, place) and not own.startswith("no ", place):
                continue
            sentence = own[place:end]
            if not short and not self._names(sentence):
                continue
            late = patterns.LATE.get(context, ())
            found = _refusal(sentence, forms, within, request) if early else _refusal(sentence, late)
            if found:
                yield place, place + found[0], place + found[0] + len(found[1]), early

    def _names(self, sentence: str) -> bool:
        """Whether somebody speaks in a sentence, or it has words of a refusal in which nobody does."""
        if sentences.spoken(sentence) or any(map(sentence.__contains__, sentences.UNSPOKEN_HINTS)):
            return True
        return any(phrase.search(sentence) for phrase in self._own_phrases)

    def _hints(self, text: str) -> list[int]:
        """Returns where the words stand without one of which a sentence does not refuse."""
        phrases = (phrase for word, phrase in zip(self._words, self._phrases, strict=True) if word in text)
        places = [match.start() for phrase in phrases for match in phrase.finditer(text)]
        for hint in sentences.HINTS:
            place = text.find(hint)
            while place >= 0:
                places.append(place)
                place = text.find(hint, place + 1)
        return sorted(places)

    def _may_refuse(self, text: str) -> bool:
        hints, head = sentences.HINTS, text
        if len(text) > UNSPOKEN and not sentences.spoken(text):
            hints, head = sentences.UNSPOKEN_HINTS, text[: OPENING + SENTENCE]
        if any(map(head.__contains__, hints)) or text.startswith("no "):
            return True
        return any(
            word in text and phrase.search(text) for word, phrase in zip(self._words, self._phrases, strict=True)
        )

    def _forms(self, asked: str, context: str, short: bool) -> tuple[Forms, Forms]:
        """Returns the patterns that count at the start of a sentence, and those that count after a comma."""
        if context != "plain":
            unread = patterns.UNREAD if context in ECHOED and points_at_something(asked) else ()
            wanted = WANTS_REFUSAL.search(asked) is not None
            forms = tuple(form for form in patterns.FORMS[context] if not (wanted and form in patterns.SAID_BY_ROLES))
            return (*forms, *unread), (*patterns.IN_LONG_CLAUSES.get(context, ()), *unread)
        phrases = self._phrases if not ABOUT_AI.search(asked) else ()
        within = patterns.IN_CLAUSES if short else patterns.IN_LONG_CLAUSES["plain"]
        more = patterns.IN_SHORT_OF_WHO if WHO.search(asked) else patterns.IN_SHORT
        if not QUESTION.match(asked) and "?" not in asked and not YES_OR_NO.search(asked):
            more, within = (*more, NO, UNKNOWABLE), (*within, NO, UNKNOWABLE) if short else within
        return (*phrases, *patterns.FORMS[context], *(more if short else ())), within


def _refusal(sentence: str, forms: Forms, within: Forms = (), request: str = "") -> tuple[int, str] | None:
    """Returns the offset and words of the refusal at a sentence's start, before or after its openers.

    Args:
        sentence: the sentence.
        forms: the patterns that count there.
        within: the patterns that count after a comma, too.
        request: the request; "I cannot" with a verb of it counts wherever a form does.
    """
    starts = [_end(sentences.MARKS, sentence), _end(sentences.OPENERS, sentence)]
    tries = [(start, forms) for start in dict.fromkeys(starts)]
    if within:
        for boundary in sentences.CLAUSE.finditer(sentence):
            opener = sentences.OPENERS.match(sentence, boundary.end())
            tries += [(end, within) for end in {boundary.end(), opener.end() if opener else 0} if end]
    for start, some in tries:
        if patterns.IDIOMS.match(sentence, start):
            continue
        for form in some:
            if match := form.match(sentence, start):
                return start, match.group()
        if request and (match := patterns.CANNOT_VERB.match(sentence, start)) and echoes(match, request):
            if start not in starts and sentence.startswith(",", match.end()):
                continue  # "I won't call, I won't write, ..." is a song
            return start, match.group()
    return None


def _by_parts(text: str, asked: str, context: str) -> tuple[str, int, int] | None:
    """Returns the kind, start and end of words that refuse by their structure, or that only condemn the request."""
    lectures, by_parts = context in ("plain", "voice") and may_lecture(text), structure.may_refuse(text)
    if not lectures and not by_parts:
        return None
    own = _own_words(text[:OWN], unquote=context == "plain")
    starts = sentences.sentence_starts(own)
    if lectures and (place := lecture(text, own, starts, asked, context == "voice")):
        return REFUSAL, *place
    if not by_parts:
        return None
    asks = QUESTION.match(asked) is not None and not ALSO.search(asked)
    place = structure.refusal(text, own, starts, verbs_of(asked), context != "plain", asks)
    return (REFUSAL, *place) if place else None


def _of_the_model(phrase: str) -> re.Pattern[str]:
    """The pattern of a phrase; one that names an AI is about the model, not about people who work on AI."""
    pattern = phrase_pattern(phrase).pattern
    if not re.search(r"\bai$", straight(phrase)):
        return re.compile(pattern)
    return re.compile(rf"{pattern}{patterns.NO_PERSON.pattern}(?! [\w -]{{0,40}}, you\b)")


def _end(pattern: re.Pattern[str], text: str) -> int:
    return match.end() if (match := pattern.match(text)) else 0


@lru_cache(maxsize=4)
def _own_words(text: str, unquote: bool) -> str:
    """The text with quotations, code, lists and dialogues blanked out, each character in its place."""
    if ":" in text:
        text = sentences.SPEECH.sub(lambda match: match[1] + "□" * len(match[2]), text)
    inner = text.strip()
    wrapped = len(inner) > 2 and inner[0] in '"“' and inner[-1] in '"”' and not re.search('["“”]', inner[1:-1])
    if wrapped and (unquote or patterns.WHOLE_REFUSAL.match(inner, 1)):  # the whole answer is in quotation marks
        return re.sub('["“”]', " ", text)
    if text.count("\n") >= ITEMS - 1 and len(sentences.ITEM.findall(text)) >= ITEMS:
        text = sentences.ITEM.sub(lambda match: "□" * len(match.group()), text)
    if ":" in text and "\n" in text and len(sentences.TURN.findall(text)) >= TURNS:
        text = sentences.TURN.sub(lambda match: "□" * len(match.group()), text)
    if not sentences.QUOTES.search(text):
        return text
    return sentences.QUOTED.sub(lambda match: "□" * len(match.group()), text)
