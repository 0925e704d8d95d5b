"""Refusals that only lecture: they condemn what is asked for, moralize, point elsewhere, and do not say "I cannot".

"Stalking is a serious crime. Please respect other people's boundaries." "It is never acceptable to use violence ...".
A question whether something is right, and one how to prevent it, are answered by such words, so they do not count
there. What counts is that one of the first sentences condemns, and that little is said besides, or only "instead".
"""

from __future__ import annotations

import re
from itertools import pairwise

from synthetic_instruction_tuner.filtering.refusal import patterns, sentences
from synthetic_instruction_tuner.filtering.refusal.request import LEGALITY, is_demand
from synthetic_instruction_tuner.filtering.refusal.substance import substance

LONGEST = 400  # words; a longer response says more
MOST = 3000  # characters
EARLY = 600  # characters in which it begins
FIRST = 3  # sentences, one of which condemns
FEW = 10  # words on the matter, beside what condemns
PLATITUDES = 18  # words beside what rejects a question
SOME = 0.12  # of all words, where they are more

_RIGHT = (
    r"(?:ethical|appropriate|acceptable|okay|ok|right|legal|lawful|respectful|moral|justified|justifiable|"
    r"permissible|"
    r"productive|constructive|kind|responsible|fair)"
)
_BAD = (
    r"(?:not only |both |\w+ly )?(?:illegal|unlawful|unethical|immoral|against the law|an? (?:\w+ ){0,2}(?:crime|"
    r"offen[sc]e|felony)(?! (?:in which|that|where|involving|of)\b)|criminal|(?:\w+ly )wrong|disrespectful|hurtful|"
    r"fraud|"
    r"theft|cheating|stealing|plagiarism|(?:academic |professional |sexual |an act of |a form of )?(?:misconduct|"
    r"dishonesty|harassment|vandalism|trespass\w*|perjury|forgery|libel|defamation|bullying|identity theft)|an? (?:\w+ "
    r")?(?:violation|invasion|breach) of (?:\w+'?s? ){0,2}(?:privacy|trust|rights?|consent))\b(?! (?:without|"
    r"unless|if|outside|except|only)\b)|(?:harmful|dangerous) "
    r"and (?:illegal|unethical)"
)
_WRONG = (
    rf"(?:{_BAD}|neither (?:accurate|fair|helpful|kind|true|{_RIGHT}) (?:n?or) \w+|"
    rf"(?:not|never|neither) (?:only |\w+ly )?{_RIGHT}\b|(?:wrong|inappropriate|unacceptable)\b)"
)
_IS = (
    r"(?:is|are|(?:would|may|might|can|could) be|constitutes?) "
    r"(?:(?:simply|also|always|generally|considered|extremely|absolutely) )?"
)
_HINTS = (
    *(
        "legal",
        "lawful",
        "ethical",
        "moral",
        "the law",
        "crim",
        "offen",
        "felony",
        "wrong",
        "respect",
        "hurtful",
        "fraud",
    ),
    *("theft", "cheating", "stealing", "plagiarism", "appropriate", "accept", "okay", "not ok", "never ok", "justif"),
    *(
        "not right",
        "never right",
        "permissible",
        "productive",
        "constructive",
        "kind",
        "responsible",
        "fair",
        "condemn",
    ),
    *("discourage", "oppose", "condone", "against", "not to", "to not", "to avoid", "don't", "one should", "deserves"),
    *(
        "nobody",
        "violation",
        "invasion",
        "misconduct",
        "harassment",
        "bullying",
        "should never",
        "should not",
        "sorry",
        "concerned",
        "sounds like",
        "harmful",
        "helpful",
    ),
)
CONDEMNS = re.compile(
    rf"(?:(?:it's |(?:it|this|that) {_IS}){_WRONG}(?=[^.!?]{{0,40}} (?:to|that|behaviou?r)\b)|it(?:'s| is) never "
    rf"{_RIGHT}\b|"
    rf"(?!if|when|what|how|why|some|your|it\b)[\w'\"□-]+(?: (?!is\b|are\b)[\w'\"□,/()-]+){{0,14}} {_IS}{_BAD}|"
    rf"(?:\w{{2,}}ing|such|any|all forms) (?:(?!is\b|are\b)[\w'\"□,/()-]+ ){{0,14}}?{_IS}{_WRONG}|"
    r"i (?:strongly |firmly |cannot |can't |do not |don't )?(?:condemn|discourage|oppose|condone)\b|i (?:strongly |"
    r"must |"
    r"would |firmly )*(?:advise|urge|caution|recommend)(?: you)?(?: strongly)? (?:against|not to)\b|"
    r"(?:the (?:best|only|right|easiest|quickest|most \w+) way (?:to|of) [^.!?]{1,60}|the answer) is (?:simply "
    r")?(?:not "
    r"to|to not|to avoid|don't)\b|(?:no ?one|nobody) (?:should|deserves to)\b|(?:you|we|one) should (?:never|not)\b)"
)
"""What is said of a request that is wrong, at the start of a sentence or of a clause."""
_MORAL = re.compile(
    r"\b(?:illegal\w*|unlawful\w*|unethical\w*|immoral\w*|moral\w*|ethic\w*|crim(?:e|es|inal\w*)|against the law|the "
    r"law|"
    r"harm\w*|consequences|violat\w+|rights|the right to|consent|respect\w*|dignity|kind(?:ness|ly)?|compassion\w*|"
    r"empathy|"
    r"discriminat\w+|hurt\w*|danger\w*|abus\w+|violen\w+|privacy|punish\w*|prosecut\w+|fines?|imprison\w*|prison|"
    r"jail|"
    r"penalt\w+|charges|stereotyp\w+|suffer\w*|victims?|damag\w+|trust|integrity|dishonest\w*|honest\w*|wrong\w*|"
    r"inappropriate\w*|appropriate\w*|unacceptable|acceptable|irreversible|boundaries|offensive|derogatory|injur\w+|"
    r"trauma\w*|deaths?|cruel\w*|prejudice\w*|inclusi\w+|well-being|expulsion|alone|hope|dehumaniz\w+|perpetuat\w+|"
    r"condone\w*|undermin\w+|reputation|misinformation|deserves?|valued?|fair(?:ly|ness)?|at risk|extremis[mt]|"
    r"atrocit\w+|accountab\w+|hinder\w*|kill\w*|over the (?:legal )?limit|lives|risk(?:s|ing|y)?)\b"
)
_INSTEAD = re.compile(
    r"(?:^|[.!?]\s+|\n\s*)(?:instead|rather)(?:,| of)|\b(?:try to|you (?:could|can|should|may|might) (?:also "
    r")?(?:consider|try|talk|speak|reach|report|contact|seek|focus|work|look|find|choose)\b|consider |(?:i|we) "
    r"(?:encourage|suggest|recommend|would|can (?:help|offer|explain|show))|what i can do\b|focus on|"
    r"find (?:other|healthy|positive|more)|work (?:on|toward)|there "
    r"are (?:\w+,? ){0,4}(?:ways|resources|alternatives|people|options|deterrents|safe|safer|legal|legitimate|better|"
    r"healthier|ethical)\b|(?:call|take|get|hail|order|grab|catch) (?:yourself )?(?:an? )?(?:taxi|cab|uber|lyft|"
    r"ride|bus|"
    r"train|ambulance|friend)\b|(?:ask|call|phone) (?:an? |your |some)(?:\w+ )?(?:friend|family|one|body|"
    r"relative)|sleep "
    r"(?:it off|where|there|over|in)|stay (?:put|where|over|the night|sober))"
)
_OTHERWISE = re.compile(
    r"(?:[.!?]\s+|\n\s*)(?:(?:instead|rather)(?:,| of)|if you(?:'re| are| feel| have| need| "
    r"want)\b[^.!?:]{3,120}\bhere are\b)"
)
_MAKING = re.compile(
    r"(?:creat|writ|compos|mak|spread|tell|publish|generat|forg|fabricat|impersonat|produc|post|send|submitt|"
    r"hand|copy)\w*ing\b|such "
    r"\w+"
)
"""The making of a text, which no text that was asked for condemns in its first sentence."""
_ON_PRINCIPLE = re.compile(r"\b(?:(?:un)?ethical|(?:in)?appropriate|illegal|(?:im)?moral|acceptable|condone|condemn)\b")
_LEAD = re.compile(
    r"(?:please )?(?:it(?:'s| is) (?:also )?(?:important|crucial|essential|worth) (?:to )?(?:not(?:e|ing)|"
    r"remember(?:ing)?|"
    r"understand|recogni[sz]e|emphasi[sz]e|keep in mind|know|acknowledge|reali[sz]e)|remember|note)(?: that)? "
)
_SYMPATHY = re.compile(
    r"(?:i(?:'m| am) (?:\w+ )?(?:concerned|worried) (?:about|for) you|i(?:'m| am) (?:\w+ )?(?:sorry|"
    r"concerned)[^.!?]{0,60}\b(?:feel\w*|going through|struggl\w+|pain|hear\w*)|it "
    r"sounds like you)"
)
_HOTLINE = re.compile(
    r"\b(?:hotline|lifeline|helpline|crisis|988|samaritans|mental health professional|emergency services|suicide "
    r"prevention)\b"
)
_DESPAIR = re.compile(
    r"\b(?:kill|hang|drown|cut|hurt|harm|poison|starve|shoot|burn|bleed) (?:my|your)self\b|\b(?:end|ending|take|"
    r"taking) my "
    r"(?:own )?life|\bcommit suicide|\bmy (?:own )?(?:wrists?|artery|veins?)\b|\b(?:overdose|die) (?:on|painless|"
    r"quick)|\b(?:want|wish|need|ready|going|plan\w*|way|ways|have|take|takes) to (?:die|end it all|kill me)\b|"
    r"\b(?:lethal|"
    r"fatal) (?:dose|amount)|\bhow (?:many|much|high)\b[^.!?]{1,60}\b(?:to|would|will|before i) (?:die|kill|"
    r"overdose|be "
    r"(?:fatal|lethal))"
)
_FORBIDS = re.compile(
    r"(?:please |just |whatever you do,? |seriously,? )*(?:don't|do not|never|you (?:shouldn't|should not|"
    r"must not|mustn't)) "
    r"(?:\w+ly |ever |even (?:think (?:about|of) )?)?(?:(?P<verb>[a-z]+)|get behind)"
)
"""A bare imperative: "Please don't drive."."""
_WHEEL = re.compile(r"get(?:ting)? behind the wheel|(?:do|try|attempt)(?:ing)? (?:this|that|it)\b")
_YES_OR_NO = re.compile(r"\W*(?:is|are|was|were|should|does|do|did|may|might|can|could|would|will)\b")
_WHY_NOT = re.compile(r"\W*why (?:should|shouldn't|must|would)\b")
"""To ask why something should not be allowed does not ask whether it is."""
_SPEECH = re.compile(
    r"(?:it|this|that)(?:'s| is| would be) (?:\w+ly )?(?:not (?:\w+ly )?|never |in|un|dis)(?:appropriate|respectful|"
    r"productive|constructive|ethical|acceptable|okay|kind|fair|right|helpful)[^.!?]{0,40}? to (?:\w+ly )?(?:call|"
    r"make|"
    r"refer|label|ask|say|use|assum|generali[sz]|judg|compar|insult|stereotyp|discuss|speculat|single|rank|suggest|"
    r"describ|share|spread|blame|mock|disclose)"
)
"""What is said of a question that should not be asked at all."""


def may_lecture(text: str) -> bool:
    """Returns whether a text has a word of a lecture and is not long; without one, `lecture` finds none."""
    return len(text) <= MOST and any(map(text[:EARLY].__contains__, _HINTS)) and len(text.split()) <= LONGEST


def lecture(text: str, own: str, starts: list[int], asked: str, voice: bool) -> tuple[int, int] | None:
    """Returns the place of the words that condemn the request where a response does little else, or None.

    Args:
        text: the response, as `keywords.straight` returns it.
        own: the text with what are not the model's own words blanked out.
        starts: where its sentences start.
        asked: the request.
        voice: whether a text in a voice of its own is asked for.
    """
    if not starts:
        return None
    spans = list(pairwise([*starts, len(text)]))
    if not voice and (comforts := _comforts(text, own, spans, asked)):
        return comforts
    if not is_demand(asked) or (voice and not _MAKING.match(own, starts[0])):
        return None if voice else _silences(text, own, spans, asked)
    if not voice and (forbids := _forbids(text, own, spans, asked)):
        return forbids
    for start, end in spans[:FIRST]:
        match = _condemns(own, start, end)
        others = [span for span in spans if span != (start, end)]
        if match and (
            _besides(text, own, others) < max(FEW, SOME * len(text.split())) or _proposes_else(text, own, others, match)
        ):
            return match
    return None


def _comforts(text: str, own: str, spans: list[tuple[int, int]], asked: str) -> tuple[int, int] | None:
    """Returns the place of sympathy with somebody who asks how to die, where a helpline is all that is named."""
    sympathy = _SYMPATHY.match(own, spans[0][0])
    if sympathy is None or not _DESPAIR.search(asked) or not _HOTLINE.search(own):
        return None
    others = [span for span in spans[1:] if not _HOTLINE.search(own, *span)]
    return sympathy.span() if _besides(text, own, others) < FEW else None


def _forbids(text: str, own: str, spans: list[tuple[int, int]], asked: str) -> tuple[int, int] | None:
    """Returns the place of a bare "don't" at the start, of what the request asks how to do, with little besides."""
    match = _FORBIDS.match(own, *spans[0])
    if match is None:
        return None
    verb = match["verb"] or ""
    asked_for = len(verb) > 2 and re.search(rf"\b{verb.removesuffix('e')}", asked) is not None
    if not asked_for and not _WHEEL.search(own, match.start(), match.end() + 20):
        return None
    return match.span() if _besides(text, own, spans[1:]) < FEW else None


def _silences(text: str, own: str, spans: list[tuple[int, int]], asked: str) -> tuple[int, int] | None:
    """Returns the place of words that reject a question, which are no answer unless it asks whether something is so."""
    if _YES_OR_NO.match(asked) or (LEGALITY.search(asked) and not _WHY_NOT.match(asked)):
        return None
    for start, end in spans[:FIRST]:
        opener = sentences.OPENERS.match(own, start, end)
        match = _SPEECH.match(own, opener.end() if opener else start, end)
        if match and _besides(text, own, [span for span in spans if span != (start, end)]) < PLATITUDES:
            return match.span()
    return None


def _condemns(own: str, start: int, end: int) -> tuple[int, int] | None:
    start = lead.end() if (lead := _LEAD.match(own, start, end)) else start
    opener = sentences.OPENERS.match(own, start, end)
    clauses = [clause.end() for clause in sentences.CLAUSE.finditer(own, start, end)]
    for place in (start, opener.end() if opener else start, *clauses):
        if (match := CONDEMNS.match(own, place, end)) and not patterns.IDIOMS.match(own, place):
            return match.span()
    return None


def _proposes_else(text: str, own: str, spans: list[tuple[int, int]], place: tuple[int, int]) -> bool:
    """Returns whether what follows is said to be something else than what was asked for."""
    instead = _OTHERWISE.search(own, place[1])
    if not instead or not _ON_PRINCIPLE.search(own, *place):
        return False
    return _besides(text, own, [(start, end) for start, end in spans if start < instead.start()]) < FEW


def _besides(text: str, own: str, spans: list[tuple[int, int]]) -> int:
    """Returns how many words are on the matter: neither moral nor pointing elsewhere."""
    return sum(
        substance(text[start:end])
        for start, end in spans
        if not _MORAL.search(own, start, end) and not _INSTEAD.search(own, start, end)
    )
