"""Where in a request the name of a language asks for that language: "in Spanish" does, "a Spanish cat" does not.

A name asks where it follows a preposition or a verb of speaking and no further noun follows ("into French", "speak
German"), where what follows is made of language ("a Spanish translation", "the Polish word for"), where it stands alone
before a colon or "please", and near the words of a lesson.
"""

from __future__ import annotations

import re

NEAR = 80  # characters before and after a name
_KIND = (
    r"(?:simple|formal|informal|plain|basic|good|perfect|correct|proper|clear|easy|everyday|colloquial|old|middle|"
    r"modern|ancient|"
    r"classical|standard|traditional|simplified|brazilian|mexican|latin american|european|canadian|swiss|austrian|"
    r"egyptian|"
    r"british|american|both|either|only|fluent|beginner|beginners|intermediate|advanced|native|spoken|written|"
    r"broken|flawless|"
    r"idiomatic|slangy|poetic|biblical|all|just|some|a little|a bit of|more|your best|archaic|children's|literary|"
    r"natural|"
    r"intermediate-level|business|conversational|south|north|northern|southern|my|their|his|her)"
)
_BEFORE = re.compile(
    r"(?:\b(?:in|into|to|using|use|uses|via|speak|speaks|speaking|spoken|talk|read|reads|reading|understands?|"
    r"knows?|write|answer|"
    r"respond|reply|say|says|learn|learns|learning|study|studying|studies|teach|teaches|teach me|teach us|"
    r"practice|practise|"
    r"practicing|practising|translate|translated|languages?|tongue|only|either|whichever of|versus|vs|to|from \w+ "
    r"to|taking|fluent in|switch to|prefer|"
    r"prefers|want|wanted|like it|need|needs|try|auf|en|em|på|po|na|til|ins|au|in het|naar het|naar|op z'n|på)"
    rf"[\s:\"'“‘(]+(?:{_KIND}\s+){{0,3}}|[:=]\s*|[-–>→/]\s*|^\W*)$",
    re.IGNORECASE,
)
_ENDS = re.compile(
    r"\s*(?:$|[^\w\s'’-]|['’](?!s\b)|[-–](?=\s|>)|(?:and|or|please|pls|with|about|that|for|to|on|using|but|then|"
    r"so|as|of|is|are|by|only|"
    r"instead|first|if|when|how|what|which|who|why|where|from|at|because|not|too|also|you|i|we|they|me|him|her|us|them|it|this|"
    r"these|those|the|a|"
    r"an|my|your|his|their|our|its|some|one|two|three|ten|any|all|would|should|could|do|does|can|look|looks|like|"
    r"here|now|today|"
    r"wanted|without|rather|since|in|into|well|fluently|style|por favor|bitte|s'il|svp|per favore|alstublieft|"
    r"graag|tack|"
    r"proszę|describing|explaining|telling|saying|asking|inviting|thanking|introducing|mentioning|including|"
    r"\d+)\b|[^\x00-\x7f])",
    re.IGNORECASE,
)
_OF_LANGUAGE = re.compile(
    r"(?:[\s-]+(?:and|or)[\s-]+\w+)?[\s-]+(?:[\w-]+ )?(?:translations?|versions?|sentences?|words?|phrases?|"
    r"expressions?|idioms?|"
    r"proverbs?|sayings?|letters?|poems?|poetry|essays?|e-?mails?|messages?|texts?|paragraphs?|songs?|lyrics|"
    r"greetings?|jokes?|"
    r"speech|dialogues?|dialogs?|conversations?|haikus?|slogans?|captions?|tweets?|subtitles?|equivalents?|terms?|"
    r"alphabet|"
    r"tongue[- ]twisters?|rhymes?|lullab(?:y|ies)|prayers?|quotes?|stor(?:y|ies)|summar(?:y|ies)|rendering|"
    r"original|script|"
    r"characters|transcript|transcription|orthography|lessons?|class(?:es)?|courses?|exams?|homework|exercises?|"
    r"worksheets?|"
    r"vocabulary|grammar|pronunciation|spelling|teachers?|tutors?|learners?|speakers?|speaking|language|dialects?|"
    r"textbooks?|"
    r"dictionar(?:y|ies)|verbs?|nouns?|adjectives?|pronouns?|articles? of|conjugations?|tenses?|synonyms?|spoken|"
    r"verse|sonnets?|"
    r"limericks?|article|answer|reply|response|output|description|only)\b|[\s-]+for\b(?=\s+[\"'“‘\w])",
    re.IGNORECASE,
)
POLITE = re.compile(
    r"\s*,?\s*(?:please|pls|por favor|bitte|s'il (?:te|vous) pla[iî]t|svp|per favore|alstublieft|graag)\b",
    re.IGNORECASE,
)
_LESSON = re.compile(
    r"\b(?:learn(?:s|er|ers|ing)?|lessons?|homework|exercises?|vocabulary|grammar|grammatical|conjugat\w+|"
    r"declin(?:e|ension)\w*|pronounc"
    r"\w+|spelling|spell|idioms?|flash ?cards?|tutors?|fluent(?:ly)?|fluency|beginners?|translat\w+|duolingo|cefr|"
    r"[abc][12] level|"
    r"mother tongue|native speakers?|tongue|verbs?|noun|grandm\w+ only|only (?:speaks?|reads?|understands?))\b",
    re.IGNORECASE,
)
_LINKED = re.compile(r"\s*(?:,|/|&|and|or|then|,\s*(?:and|or))\s*(?:then )?(?:in |into |to )?\s*", re.IGNORECASE)
_SENTENCE = re.compile(r"[.!?\n]")


def asks(text: str, start: int, end: int) -> bool:
    """Returns whether a language's name from `start` to `end` asks for the language."""
    before, after = text[max(0, start - NEAR) : start], text[end : end + NEAR]
    if _OF_LANGUAGE.match(after) or POLITE.match(after):
        return True
    if (
        _BEFORE.search(before)
        and _ENDS.match(after)
        and (before.strip() or after.lstrip()[:1] in ("", ":", ",", "-", "."))
    ):
        return True
    first = max((match.end() for match in _SENTENCE.finditer(text, 0, start)), default=0)
    last = _SENTENCE.search(text, end)
    return _LESSON.search(text, first, last.start() if last else len(text)) is not None


def asking(text: str, names: list[tuple[int, int, str]]) -> set[str]:
    """Returns the codes of the names that ask, of names given as start, end and code in order.

    A name that is linked to one that asks asks, too: "in French and Spanish".
    """
    found: set[str] = set()
    until = -1
    for start, end, code in names:
        linked = until >= 0 and _LINKED.fullmatch(text, until, start) and _ENDS.match(text, end)
        if linked or asks(text, start, end):
            found.add(code)
            until = end
    return found
