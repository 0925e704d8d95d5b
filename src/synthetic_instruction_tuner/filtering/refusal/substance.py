"""Whether a response that sounds like a refusal answers after all: how many of its words say something on the matter.

A model that refuses also apologizes, speaks of itself, moralizes, asks, offers and points elsewhere. None of that is an
answer. What is left, the substance, decides:

- "As an AI I have no taste, but these dishes are loved: ..." begins with a disclaimer and answers.
- "I can't help with that. Please talk to a doctor." has no substance and refuses.
- What a model refuses on principle (it is illegal, hurtful, against its guidelines) stays a refusal, whatever it says
  instead, unless it hands over what was asked for ("That said, here is ...").
"""

from __future__ import annotations

import re
from itertools import pairwise

from synthetic_instruction_tuner.filtering.refusal.impersonal import BARE
from synthetic_instruction_tuner.filtering.refusal.parts import CONDEMNS
from synthetic_instruction_tuner.filtering.refusal.patterns import CANNOT, FLAT
from synthetic_instruction_tuner.filtering.refusal.sentences import OPENERS, SENTENCE_START
from synthetic_instruction_tuner.filtering.refusal.unwilling import ADVERBS

FEW = 6  # words of substance that make an answer after "here is"
SOME = 12  # after "but", "however"
MANY = 20  # without any such word
INSTEAD = 40  # where the model says that it will not help, write or recommend
SHARE = 0.3  # of all words
PRINCIPLED = 60  # words, and half of all, where the model refuses on principle
EXPLAINED = 25  # words after "I can't condone it, but ..."
CLAUSE = 120  # characters in which the turn comes
PERSONA = 45  # words; a longer text in the first person that says nothing of a model is somebody's
NEAR = 350  # characters around the refusal in which its reason is given

_PIVOT = re.compile(
    r"\b(?:however|but|that (?:being )?said|having said that|with that (?:being )?said|nevertheless|nonetheless|"
    r"still|"
    r"though|yet|as of|(?<!be )based on|in general|generally|according to|if i (?:were|had|could)|i can (?:tell|say|"
    r"offer|"
    r"give|share|provide|explain|describe|suggest|recommend|outline|list|write|make|imagine))\b|[;:]"
)
_CONDONES = re.compile(
    r"i (?:\w+ )?(?:do not|don't|cannot|can't|would never|never) (?:condon|endors|encourag|recommend)\w*"
)
_CONCEDES = re.compile(r"[\W_]*(?:while|although|though|even though|even if|as much as)\b")
_MAIN_CLAUSE = re.compile(
    r", (?=(?:some|the|there|many|most|here|one|it|people|several|this|these|a|an|as of|according to|based on|"
    r"in general|generally|typically|usually|historically)\b)"
)
_DELIVERS = re.compile(
    r"(?<!instead, )\bhere(?:'s| is| are| you go)\b(?! to (?:help|assist))(?![^.:!?]{0,60}(?:alternative|legal|safe|"
    r"ethical|"
    r"positive|healthy|resources|instead|protect))"
)
_STEPS = re.compile(r"\b(?:like this|as follows|these steps|this way)[^.!?\n]{0,20}:")
_GOES_ON = re.compile(r"\b(?:and|so|but|therefore) \Z")
_INSTEAD = re.compile(r"(?:^|[.!?]\s+|\n\s*)instead(?:,| of)")
_OFFERS = re.compile(
    r"\bi can (?:share|tell|offer|give|suggest|recommend) (?:you )?(?:an?|one|some|these)\b[^.!?]{0,40}:"
)
_TURN = re.compile(
    r",? (?:but|however|yet|though|nevertheless|nonetheless)\b,? (?!(?:such as|like|including|especially|e\.g\.|for "
    r"example)\b)|[;:—–] "
)
_LIST = re.compile(r"[\W_]*(?:\d{1,2}[.)]|[-*•+]) ")
_LEAD = re.compile(
    r"(?:[\W_]|(?:i can (?:certainly |still )?(?:tell you|say|share|confirm)(?: with you)? that|however|but|that "
    r"said|that being said|having said that|with that (?:being )?said|nevertheless|"
    r"nonetheless|instead|also|and|so|additionally|in the meantime|alternatively|therefore|then|still|yet|though|"
    r"for (?:this|that) reason|in that case|in this case|sorry|unfortunately|(?:it(?:'s| is) (?:also |"
    r"always )?(?:important|worth|good|helpful) (?:to (?:note|remember|mention|keep in mind|(?:understand|know|"
    r"consider|"
    r"recognize|acknowledge)(?= that))|noting|mentioning|remembering)|please note|note|keep in mind)(?: that|,)?)\b)*"
)
_PRINCIPLE = re.compile(
    r"\b(?:illegal|unlawful|unethical|ethic|moral|harm(?:s|ful|ing)?\b|humane|cruel|disciplinary|legal (?:action|"
    r"trouble)|kindness|manipulat|deceiv|terms "
    r"of service|inappropriate|not appropriate|"
    r"offensive|hurtful|disrespect|derogatory|stereotyp|discriminat|violen|crime|criminal|against the law|guidelines|"
    r"polic(?:y|ies)\b|copyright|misinformation|disinformation|hate(?:ful)?\b|explicit|sexual|cheating|plagiar|fraud|"
    r"scam|weapon|drugs|abus|threats|threaten|bully|blackmail|dangerous activit|self-harm|suicid|exploit|malicious|"
    r"fearmonger|safe (?:or|and)|dangerous (?:or|and)|condone|endorse(?! (?:an? |any |one |specific|particular|"
    r"individual|products?|brands?|certain|candidates?|"
    r"political))|promot(?:e|es|ing)|encourag(?:e|es|ing) (?:or|"
    r"any|such|illegal|harm|dangerous|violence))"
)
_FLAT = re.compile(
    rf"{CANNOT}[.!]|{CANNOT} {ADVERBS}(?:fulfil|comply|satisfy|(?:assist|help)(?: you)? with (?:that|this)|engage|"
    rf"participat|condon|"
    r"role-?play|pretend)|(?:must|have to|need to|'ll have to) (?:\w+ )?(?:decline|refuse|refrain)|(?:appropriate|"
    r"ethical|right|responsible|legal|constructive) (?:(?:or|and) \w+ )?for me|(?:not|n't) (?:feel )?comfortable|"
    r"(?:do not|don't|cannot|can't) condone|in good (?:conscience|faith)|goes against my|against my "
    r"(?:programming|guidelines|ethic)"
)
_DECLINED = re.compile(
    rf"(?:{CANNOT}|\b(?:and|so|therefore) (?:cannot|can't|won't|will not|do not|don't)) {ADVERBS}(?:assist|help|"
    rf"provid|give|offer|writ|creat|generat|recommend|suggest|endors|promot|support|"
    rf"encourag|share|answer|discuss|teach|explain|instruct|advis|guid|walk|tell you|make|produc|compos|draft|do|"
    rf"facilitat|"
    rf"accept|satisf|joke)|"
    r"\bi (?:do not|don't|will not|won't) (?:\w+ly )?(?:provide|help|write|create|generate|answer|support|engage|"
    r"feel comfortable|think (?:that )?it)|not (?:\w+ )?(?:ethical|appropriate|right|legal|acceptable)|"
    r"advise (?:you )?against|unethical|inappropriate"
)
_FIRST_PERSON = re.compile(r"(?:i|i'm|im|i've|i'd|i'll|my|me)\b")
_SPEAKS_OF_ITSELF = re.compile(
    r"\bai\b|a\.i\.|language model|chatbot|assistant|program|sorry|apolog|unfortunately|real-time|access to|"
    r"personal (?:opinion|belief|experience|preference)|assist\b|your request|you (?:requested|asked|provided)"
)
_NO_SUBSTANCE = re.compile(
    r"(?:i|i'm|im|i've|i'd|i'll|my|me|as an? (?:\w+[ -]){0,3}?(?:ai|model|assistant|program|bot))\b|(?:please|kindly|"
    r"feel free|let me know|let's|don't hesitate|do not hesitate|thank|thanks|sorry|apolog|remember|best of luck|"
    r"good luck|hope|(?:it )?(?:sounds|seems|looks) like you|you(?:'re| are) (?:asking|requesting|looking)|"
    r"you(?:'ve| have)? (?:asked|requested)|you want\b|your request|what you(?:'re| are)? (?:asking|describ\w*|"
    r"propos\w*|suggest\w*)|"
    r"rest assured|sure|certainly|of course|great|keep in mind|be aware|note that)\b|(?:is there|"
    r"are there|would (?:you|that|this|it)|could you|can you|do you|did you|have you|how about|what about|may i|"
    r"shall (?:i|we)|"
    r"what (?:would|kind|else|can)|how (?:can|may) i)\b|if (?:you|your|there|it|this)\b|(?:you|one|users?) (?:can|"
    r"could|may|might|should|would|will|need to|want to|'d|must)(?: \w+ly| also| want to| need to| try to| try|"
    r" consider| wish to| like to| have to| be able to)* (?:check\w*|visit\w*|consult\w*|contact\w*|ask\w*|look\w*|"
    r"search\w*|us(?:e|ing)|refer\w*|find\w*|shar\w+|past\w+|provid\w+|call\w*|reach\w*|speak\w*|talk\w*|seek\w*|"
    r"get\w*|see\b|go\b|upload\w*|describ\w+|try\w*|set\b|listen\w*)|(?:it|this|that)(?:'s| is| would be| may be|"
    r" might be| could be| can be)(?: \w+ly| also| always| never| not| an?)* (?:important|essential|crucial|"
    r"vital|best|worth|recommended|advisable|better|necessary|wise|helpful|illegal|unethical|possible|appropriate|"
    r"ethical|legal|safe|right|okay|ok|up to|subjective|personal|great|good idea|wrong|harmful|inappropriate|"
    r"dangerous|fair|impossible|difficult|hard|crime|decision|against|beyond)\b|(?:consult|contact|visit|seek|"
    r"speak (?:to|with)|talk to|reach out|refer to|check (?:with|out|the)|ask (?:a|your))\b|(?:a|an|your|the|only a|"
    r"any|only an) (?:\w+ )?(?:doctor|physician|lawyer|attorney|professional|pharmacist|therapist|advisor|"
    r"dermatologist|specialist|expert|dietitian|vet|carrier|app|website|weather|search engine)\b[^.!?]{0,20} (?:can|"
    r"will|could|should|would|may|is)\b|(?:for|to get|to find|to see|to stay|to check|"
    r"to know)\b[^.!?]{0,90}?, (?:please|you|i|i'd|check|visit|consult|contact|see|refer|try)\b|(?:everyone|"
    r"everybody|"
    r"every person|all people|we) (?:should|must|deserves?|has|have|are|is|can)\b"
)


def answers(text: str, place: int, end: int, sentence: int, weak: bool = False) -> bool:
    """Returns whether a response with a refusal's words says enough else to be an answer.

    Args:
        text: the response, as `keywords.straight` returns it.
        place: where the refusal's words start.
        end: where they end.
        sentence: where their sentence starts, which may be earlier: with "I'm sorry, but", for example.
        weak: whether anybody may say these words of anything: "I don't have a single answer".
    """
    somebody = len(text.split()) > PERSONA and not speaks_of_itself(text, 0)
    words = _count(_pieces(text, place, end, somebody))
    share = words / max(len(text.split()), 1)
    delivers = _DELIVERS.search(text, end)
    if delivers and _INSTEAD.search(text, end, delivers.start()):
        delivers = None
    if _on_principle(text, place, delivers.start() if delivers else len(text)):
        clause = re.split(r"[.!?]\s|\n", text[end : end + CLAUSE])[0]
        turns = _TURN.search(clause) or _STEPS.search(text, end)
        explains = _CONDONES.match(text, place) and turns and words >= EXPLAINED
        return share >= 0.5 and bool(explains or (delivers and words >= PRINCIPLED))
    if (delivers or _OFFERS.search(text, end)) and words >= FEW:
        return True
    concedes = _CONCEDES.match(text, sentence) is not None
    limits = (
        place == sentence and substance(text[:place]) >= FEW and not CONDEMNS.search(text[:place])
    )  # an answer, and what it leaves out
    enough = FEW if limits else SOME if weak or concedes or _PIVOT.search(text, end) else MANY
    if enough == MANY and _DECLINED.search(text, place, place + NEAR):
        enough = INSTEAD
    return words >= enough and share >= SHARE


def hands_over(text: str) -> bool:
    """Returns whether a response says that it gives something: a text to send, say."""
    return _DELIVERS.search(text) is not None


def substance(text: str, after: int = 0) -> int:
    """Returns how many words of a text say something on the matter, without those up to a place."""
    return _count(_pieces(text, 0, after))


def speaks_of_itself(text: str, place: int) -> bool:
    """Returns whether a response says near a place what only a model or a clerk says."""
    return _SPEAKS_OF_ITSELF.search(text, place, place + 2 * NEAR) is not None


def _on_principle(text: str, place: int, end: int) -> bool:
    """Returns whether the model will not do it, rather than lacks something that it would need."""
    end = min(end, place + NEAR)
    goes_on = _GOES_ON.search(text, max(0, place - 12), place) is not None
    if _FLAT.search(text, place, end) or any(
        form.match(text, place) for form in FLAT if not (goes_on and form is BARE)
    ):
        return True
    declined = _DECLINED.search(text, place, end) is not None
    return declined and _PRINCIPLE.search(text, max(0, place - NEAR // 2), end) is not None


def _count(pieces: list[str]) -> int:
    return sum(len(piece.split()) for piece in pieces)


def _pieces(text: str, place: int, end: int, somebody: bool = False) -> list[str]:
    """Returns the clauses that have substance, without what is between `place` and `end`.

    Args:
        text: the text.
        place: where the refusal's words start.
        end: where they end.
        somebody: whether the first person is somebody else than the model.
    """
    found = []
    starts = [match.end() for match in SENTENCE_START.finditer(text)]
    for start, stop in zip(starts, [*starts[1:], len(text)], strict=True):
        refuses = start <= place < stop and end > place
        listed = _LIST.search(text, max(0, start - 6), start) is not None
        turn = _MAIN_CLAUSE if refuses and _CONCEDES.match(text, start) else _TURN
        turns = [match.end() for match in turn.finditer(text, end if refuses else start, stop)]
        clauses = [] if refuses else [start]
        said = False
        for first, last in pairwise([*clauses, *turns, stop]):
            follows = said and text[first - 2] == ":"  # what is announced counts with what announces it
            said = listed or follows or _has_substance(text[first:last], somebody)
            if said:
                found.append(text[first:last])
    return found


def _has_substance(clause: str, somebody: bool) -> bool:
    lead = _LEAD.match(clause)
    start = lead.end() if lead else 0
    if somebody and _FIRST_PERSON.match(clause, start):
        return True
    if _NO_SUBSTANCE.match(clause, start):
        return False
    opener = OPENERS.match(clause, start)
    return not (opener and opener.end() > start and _NO_SUBSTANCE.match(clause, opener.end()))
