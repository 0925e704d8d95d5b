"""Refusals by their parts, in whatever words: who speaks, what denies it, and the act of answering that is denied.

The forms in `patterns` name the usual wordings. A short response with little besides refuses, too, if one of its first
sentences, or its last, holds

- a first person ("I", "my"), or the act or the request as the subject ("reciting it", "such content"),
- a denial: a negation, or a verb that refuses ("decline", "avoid", "exceeds", "violates"),
- the act of answering ("help", "write", "share"), or what stands for it ("that", "such a list").

A text that was asked for has a first person of its own. There, the denied act must be the making of a text, in words of
the request or with an offer of something else.
"""

from __future__ import annotations

import re

from synthetic_instruction_tuner.filtering.refusal.parts import (
    ACT,
    ACTS_ON_IT,
    ANAPHOR,
    ANY_DENIAL,
    CONDEMNS,
    ELLIPSIS,
    FACT,
    HERE,
    HINTS,
    I_DENY,
    IMPERSONAL,
    INSTEAD,
    ME,
    OFFERS,
    REQUEST,
    SPOKEN,
    STANCE,
    TEXT_ACTS,
)
from synthetic_instruction_tuner.filtering.refusal.patterns import IDIOMS
from synthetic_instruction_tuner.filtering.refusal.substance import answers, substance

LONGEST = 110  # words; a longer response says more
MOST = 800  # characters
FIRST = 4  # sentences, and the last one
BRIEF = 30  # words of a response that condemns the request and refuses "that"
FEW = 18  # words of substance besides
LITTLE = 8  # where the request is only condemned and something else proposed
FORBIDDING = frozenset({"rule", "rules", "policy", "forbids", "forbid", "prohibits", "prohibit", "bans", "notice"})
STEM = 5  # letters by which words of the request and the response are compared


def may_refuse(text: str) -> bool:
    """Returns whether a text is short and has a word of a refusal; without one, `refusal` finds none."""
    if len(text) > MOST or not any(map(f" {text}".__contains__, SPOKEN)) or not any(map(text.__contains__, HINTS)):
        return False
    return (ME.search(text) or HERE.search(text)) is not None and len(text.split()) <= LONGEST


def refusal(
    text: str, own: str, starts: list[int], request: frozenset[str], voice: bool, asks: bool
) -> tuple[int, int] | None:
    """Returns the place of a refusal's words in a short response with little else, or None.

    Args:
        text: the response, as `keywords.straight` returns it.
        own: the text with what are not the model's own words blanked out.
        starts: where its sentences start.
        request: words of the request.
        voice: whether a text in a voice of its own is asked for.
        asks: whether the instruction is a question on a matter, which a fact with a negation answers.
    """
    if voice and not request.isdisjoint(FORBIDDING) and not ME.search(own):
        return None  # a rule, in which nobody speaks, forbids something
    spans = list(zip(starts, [*starts[1:], len(text)], strict=True))
    request = _stems(" ".join(request))
    condemned = not asks and CONDEMNS.search(own) is not None
    for start, end in dict.fromkeys([*spans[:FIRST], *spans[-1:]]):
        sentence = own[start:end]
        if not (condemned or ME.search(sentence) or HERE.search(sentence)):
            continue
        if not condemned and not any(map(sentence.__contains__, HINTS)):
            continue
        place = _denied(sentence, request, voice, asks) or _stance(sentence, asks)
        limit = FEW
        if place is None and condemned and (match := INSTEAD.search(sentence)):
            place, limit = match.span(), LITTLE
        elif place is None and not (asks or voice or FACT.search(sentence) or IDIOMS.search(sentence)):
            evidence = (condemned and not CONDEMNS.search(sentence)) or OFFERS.search(text)
            match = ANY_DENIAL.search(sentence) if evidence else None
            place, limit = match.span() if match else None, LITTLE
        if (
            place is None
            or "□" in sentence[: place[1]]
            or (voice and not _of_the_text(sentence, text, request, condemned))
        ):
            continue
        first, last = start + place[0], start + place[1]
        rest = [own[a:b] for a, b in spans if a != start and not (condemned and CONDEMNS.search(own, a, b))]
        besides = sum(map(substance, rest)) + substance(text[start:end], last - start)
        if besides < limit and (condemned or (not asks and besides < LITTLE) or not answers(text, first, last, start)):
            return first, last
    return None


def _denied(sentence: str, request: frozenset[str], voice: bool, asks: bool) -> tuple[int, int] | None:
    """Returns the place of a denial of the act of answering in a sentence."""
    if FACT.search(sentence) or IDIOMS.search(sentence):
        return None
    match = I_DENY.search(sentence)
    ellipsis = None if match else ELLIPSIS.search(sentence)
    if ellipsis and ME.search(sentence, 0, ellipsis.start()):
        return ellipsis.span()
    if match and (act := ACT.match(match["rest"])):
        return match.start(), match.start("rest") + act.end()
    if match and len(_stems(match["rest"]) & request) > voice:
        return match.start(), match.start("rest")
    return _spoken(IMPERSONAL, sentence, asks)


def _stance(sentence: str, asks: bool) -> tuple[int, int] | None:
    """Returns the place of words that take a stance against the request, without an act."""
    return None if FACT.search(sentence) or IDIOMS.search(sentence) else _spoken(STANCE, sentence, asks)


def _spoken(pattern: re.Pattern[str], sentence: str, asks: bool) -> tuple[int, int] | None:
    """Returns the place of a pattern in a sentence that is the model's own; a question may be answered by a fact."""
    match = pattern.search(sentence)
    if match and (ME.search(sentence) or (not asks and HERE.search(sentence))):
        return match.span()
    return None


def _of_the_text(sentence: str, text: str, request: frozenset[str], condemned: bool) -> bool:
    """Returns whether a sentence speaks of the text that was asked for, so that it is no part of it."""
    shared = _stems(TEXT_ACTS.sub(" ", sentence)) & request
    acts = TEXT_ACTS.search(sentence) is not None
    if ACTS_ON_IT.search(sentence) or REQUEST.search(sentence):
        return True
    if condemned and len(text.split()) <= BRIEF and ANAPHOR.search(sentence):
        return True
    return bool(shared or acts) if condemned or OFFERS.search(text) else bool(shared and acts)


def _stems(text: str) -> frozenset[str]:
    return frozenset(word.rstrip("s")[:STEM] for word in re.findall(r"[a-z]{4,}", text))
