"""Which languages a request asks for: in English, in its own language, or by the language's own name.

A name asks for its language where it stands in a position that asks, see `asking_positions`.

``translation`` stands for a request to translate, ``language`` for one that leaves the language open: "in her mother
tongue".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from synthetic_instruction_tuner.config.language_names import (
    WORDS,
    english_names,
    names_in,
    own_forms,
    own_names,
    plain,
)
from synthetic_instruction_tuner.config.languages import FURTHER, NAMES, detectable, language_code
from synthetic_instruction_tuner.filtering.rules.asking_positions import (
    OTHERS,
    PLACE,
    POLITE,
    asking,
    asks_in,
    is_about_speakers,
)
from synthetic_instruction_tuner.words import MARKS

TRANSLATION = "translation"
LANGUAGE = "language"
Span = tuple[int, int, str]  # start and end in the text, and a word or a code
TAG = re.compile(
    r"(?<![a-z])(?:(?:output|target|response|answer|reply|respond|answer_in)[ _-]?)?(?:language|lang|locale|"
    r"idioma|lengua|sprache|langue|lingua|taal|språk|"
    r"język|язык)\b[\"']?\s*[:=]\s*[\"']?([^\W\d_]+)",
    re.IGNORECASE,
)
PAIR = re.compile(
    r"(?<![\w-])([a-z]{2})\s*(?:->|=>|>|[\u2192\u21d2])\s*([a-z]{2})(?![\w-])|(?<![\w-])([a-z]{2})[-/]([a-z]{2})\s*:",
    re.IGNORECASE,
)
"""From one language into another, by their codes: "EN->HI"."""
ABROAD = {
    "auf": ("de",), "ins": ("de",), "en": ("es", "fr"), "au": ("fr",), "al": ("es",), "em": ("pt",), "in": ("it",),
    "in het": ("nl",), "naar het": ("nl",), "på": ("sv", "da"), "po": ("pl",),
}  # fmt: skip
"""Languages by the preposition that asks for one in them."""
ELSEWHERE = re.compile(rf"\b({'|'.join(sorted(ABROAD, key=len, reverse=True))})\s+([^\W\d_]{{4,}})", re.IGNORECASE)
_BEFORE = {
    "de": r"\b(?:auf|ins|in|aus dem|vom|zum|sprich|spreche|spricht|sprichst|sprechen|lerne|lernt|heißt)",
    "fr": r"\b(?:en|au|du|le|(?:tu )?parle[sz]?(?:-tu|-vous)?|apprends|vers le)",
    "es": r"\b(?:en|al|del|hablo|hablas|habla|aprendo)",
    "it": r"(?:\b(?:in|al|dal|parli|parla)|\bdall'|\bin lingua)",
    "pt": r"\b(?:em|para|para o|do|falo|fala|no)",
    "nl": r"\b(?:in het|naar het|uit het|het|op zijn|spreek|leer|in)",
}
_AFTER = {
    "de": "übersetz|text|satz|sätze|brief|gedicht|version|sprach|wort|wörter|übung|grammatik|vokabel|verb|e-?mail",
    "nl": "vertaling|tekst|zin|zinnen|brief|gedicht|versie|woord|les",
}
PREPOSITIONS = {
    code: (
        re.compile(rf"(?:{before})\s+(?:[\w-]+\s+)?\Z", re.IGNORECASE),
        re.compile(rf"\w*\s+(?:\w+\s+)?(?:{_AFTER.get(code, '(?!)')})", re.IGNORECASE),
    )
    for code, before in _BEFORE.items()
}
"""By language, what stands before the name of a language that is asked for, and what stands after one."""
EXERCISE = re.compile(
    r"\b(?:correct|fix|proofread|proof-read|edit|improve|revise|rewrite|rephrase|reword|paraphrase|continue|"
    r"complete|finish|fill in|"
    r"conjugat\w*|decline|punctuate|spell-?check|shorten|expand|extend|polish|grammar|grammatical|mistakes?|"
    r"errors?|typos?|sentences?|"
    r"plural|singular|tense|opposite|synonyms?|rhymes?|reply to|respond to|answer (?:this|the) (?:message|mail|"
    r"e-?mail|letter|text)|"
    r"repeat|copy|quote|reorder|unscramble|turn (?:this|the)|make (?:this|the))\b",
    re.IGNORECASE,
)
"""Work on a text that is given in the request: what comes of it is in that text's language."""
GIVEN = re.compile(r"(?:[:\n]|[\"“«„'‘])\s*(\S.*)", re.DOTALL)
GENERIC = frozenset(("tieng", "bahasa", "jezyk", "jazyk", "اللغة", "لغة"))  # "language"
CZECH = re.compile(r"(?:[sc]t|c)ina$")
LOOKED_AT = 20_000  # characters
LONGEST = 3  # words of a name
SHORTEST = 4  # letters of a stem
TRANSLATING = re.compile(
    r"\btranslat(?:e|es|ed|ing|ions?)\b|\bhow (?:do|does|would|to|can) .{0,20}say\b|\bconjugat"
    r"|übersetz|tradui|traduct|traduc|traduz|перев[её]д|перевод|перекла|tłumacz|przełóż|přelož|překlad|prelož|vertaal"
    r"|vertal|översätt|oversett|oversæt|käännä|fordít|çevir|dịch|terjemah|μετάφρα|翻译|翻譯|翻訳|訳|번역|แปล|תרגמ|ترجم"
    r"|अनुवाद|অনুবাদ|மொழிபெயர்|అనువ",
    re.IGNORECASE,
)
OPEN = re.compile(
    r"\btransliterat|\bromani[sz]|\b(?:mother |native )?tongues?\b(?! twister)|\b(?:bi|multi|tri)lingual|\bdialects?\b"
    r"|\blocali[sz](?:e|ation)|\bi18n\b|\bnational anthem|\b(?:cyrillic|devanagari|gurmukhi|nastaliq)\b|\bloanwords?\b"
    r"|(?<!programming )(?<!query )(?<!body )(?<!markup )(?<!scripting )(?<!formal )(?<!natural )(?<!machine )"
    r"(?<!modeling )(?<!large )(?<!sign )(?<!coding )(?<!plain )\blanguages?\b(?! models?\b)",
    re.IGNORECASE,
)
MARKED_WORDS = re.compile(rf"(?:[^\W\d_]|[{MARKS}])+")
SENTENCE = re.compile(r"[.!?;\n\u3002\uff01\uff1f\u061f\u061b]")
UNINFLECTED = re.compile("[\u0590-\uffff]")  # scripts whose words are not always separated


def languages_named(text: str, language: str = "en", answered: Iterable[str] = ()) -> list[str]:
    """Returns the codes of the languages that a text asks for, and ``translation`` or ``language``.

    Args:
        text: the request.
        language: its language, in which names are looked for besides English.
        answered: languages whose own names are looked for.
    """
    text = text[:LOOKED_AT]
    spans = [(match.start(), match.end(), plain(match[0])) for match in WORDS.finditer(text)]
    words = [word for _, _, word in spans]
    names = _in_english(spans, text) + _by_other_names(text)
    found = {code for match in TAG.finditer(text) if (code := language_code(match[1].lower()))}
    found |= _after_pairs(text)
    if language not in ("en", "") and language in detectable():
        if language in PREPOSITIONS:
            names += [(*spans[place][:2], code) for code, stem in _stems(language) for place in _places(stem, words)]
            names = _without_speakers(names, text, language)
            found |= _after_preposition(names, text, language)
        else:
            found |= _in_other_languages(plain(text), words, language)
    for code in answered:
        for stem in map(_stem, own_forms(code)):
            if UNINFLECTED.search(stem):
                found |= {code} if stem in plain(text) else set()
            else:
                names += [(*spans[place][:2], code) for place in _places(stem, words)]
    found |= asking(text, sorted(set(_without_speakers(names, text, language))))
    found |= {TRANSLATION} if TRANSLATING.search(text) else set()
    ends = {end for _, end, _ in names}
    if any(match.start() - 1 not in ends for match in OPEN.finditer(text)):  # not the language that is just named
        found.add(LANGUAGE)
    return sorted(found)


def _after_pairs(text: str) -> set[str]:
    """The languages into which codes say that a text is to be translated."""
    pairs = [[language_code(code.lower()) for code in match.groups() if code] for match in PAIR.finditer(text)]
    return {target for source, target in pairs if source and target}


def by_own_name(text: str) -> list[str]:
    """Returns the codes of all languages that a text names by their own names."""
    text = text[:LOOKED_AT]
    words = [plain(word) for word in WORDS.findall(text)]
    names = own_names()
    spans = {" ".join(words[place : place + size]) for size in (1, 2, 3) for place in range(len(words))}
    return sorted({code for name, code in names.items() if len(name) > 3 and name in spans and name not in _COMMON})


def given_text(text: str) -> str:
    """Returns the text that an English request gives to be worked on: after a colon, a line break, a quotation mark."""
    text = text[:LOOKED_AT]
    found = GIVEN.search(text)
    return found[1] if found and EXERCISE.search(text, 0, found.start()) else ""


def without_asking(text: str) -> str:
    """Returns a text without what asks for a language in that language, or by its code, unless nothing else is there.

    "Describe a cat auf Deutsch, bitte (language: de)" is in English.
    """
    tagged = TAG.sub(" ", text) if ":" in text or "=" in text else text
    rest = ELSEWHERE.sub(lambda match: " " if _named_abroad(match) else match[0], tagged)
    if rest == text:
        return text
    rest = POLITE.sub(" ", rest)
    return rest if any(letter.isalpha() for letter in rest) else text


def without_own_names(text: str, languages: Iterable[str]) -> str:
    """Returns a text without words that are these languages' own names, unless it has no other words.

    "Describe a cat in 中文" is in English: the name says what is asked for, not in which language it is asked. English
    names stay: in English, they say both.
    """
    names = {name for code in languages if code != "en" for name in own_forms(code)}
    if not names:
        return text
    rest = MARKED_WORDS.sub(lambda word: "" if plain(word[0]) in names else word[0], text)
    if rest != text:
        rest = POLITE.sub(" ", rest)
    return rest if any(letter.isalpha() for letter in rest) else text


_COMMON = {"kana", "mara", "maa", "akan", "sena", "joola", "kako", "romansh"}


def _in_english(spans: list[Span], text: str) -> list[Span]:
    """Names in English. One that is rare counts only where it is capitalized: "fang" is no language, Fang is one."""
    names, found = english_names(), []
    for size in range(1, LONGEST + 1):
        for place in range(len(spans) - size + 1):
            start, end = spans[place][0], spans[place + size - 1][1]
            code = names.get(" ".join(word for _, _, word in spans[place : place + size]))
            if code is not None and (code in _well_known() or text[start].isupper()):
                found.append((start, end, language_code(code) or code))
    return found


def _by_other_names(text: str) -> list[Span]:
    """Names in other languages after their prepositions, within a request in any language: "auf Niederländisch"."""
    return [(*match.span(2), code) for match in ELSEWHERE.finditer(text) for code in _named_abroad(match)]


def _named_abroad(match: re.Match[str]) -> list[str]:
    languages = ABROAD[match[1].lower()]
    word = match[2].lower() if match[2].isascii() else plain(match[2])
    if not word.startswith(_beginnings(languages)):  # as most words
        return []
    return [code for language in languages for code, stem in _stems(language) if stem and word.startswith(stem)]


@cache
def _beginnings(languages: tuple[str, ...]) -> tuple[str, ...]:
    return tuple({stem for language in languages for _, stem in _stems(language) if stem})


def _without_speakers(names: list[Span], text: str, language: str) -> list[Span]:
    """The names that do not stand in a question about who speaks the language."""
    languages = {"en", language} & OTHERS.keys()
    kept = []
    for start, end, code in names:
        first = max((match.end() for match in SENTENCE.finditer(text, 0, start)), default=0)
        last = SENTENCE.search(text, end)
        sentence = plain(f"{text[first:start]}{PLACE}{text[start : last.start() if last else len(text)]}")
        if not any(is_about_speakers(sentence, one) for one in languages):
            kept.append((start, end, code))
    return kept


def _in_other_languages(text: str, words: list[str], language: str) -> set[str]:
    """The languages that a plain text asks for, in one of `OTHERS`, and all that it names, in other languages."""
    found = set()
    parts = [part for word in words for part in word.split("-")]
    for code, stem in _stems(language):
        if _has(stem, parts, text):
            bare = UNINFLECTED.search(stem)
            marked = text.replace(stem, PLACE) if bare else re.sub(rf"(?<!\w)(?={re.escape(stem)})", PLACE, text)
            sentences = [part for part in SENTENCE.split(marked) if PLACE in part]
            if language not in OTHERS or any(asks_in(part, language) for part in sentences):
                found.add(code)
    return found


def _after_preposition(names: list[Span], text: str, language: str) -> set[str]:
    """The names that stand after a preposition, or before a noun of language, in one of the languages known here."""
    before, after = PREPOSITIONS[language]
    return {code for start, end, code in names if before.search(text, 0, start) or after.match(text, end)}


def _places(stem: str, words: list[str]) -> list[int]:
    return [place for place, word in enumerate(words) if stem and word.startswith(stem)]


@cache
def _well_known() -> frozenset[str]:
    return frozenset({*NAMES, *FURTHER, *detectable()})


@cache
def _stems(language: str) -> tuple[tuple[str, str], ...]:
    """The stems of the well-known languages' names in a language, with their codes."""
    names = names_in(language)
    return tuple((code, _stem(plain(names[code]))) for code in sorted(_well_known()) if code in names)


def _stem(name: str) -> str:
    """A name without what inflection changes: ``polsk`` of ``polski``, for "po polsku", and without "the language"."""
    words = [word for word in name.split() if word not in GENERIC]
    first = words[0] if words else ""
    if name.startswith("tieng "):  # the syllables of Vietnamese are words
        return " ".join(words)
    if (short := CZECH.sub("", first)) != first and len(short) > SHORTEST:  # "španělsky" and "španělština"
        return short
    return first if UNINFLECTED.search(first) else first[: max(SHORTEST, len(first) - 2)]


def _has(stem: str, words: list[str], text: str) -> bool:
    if not stem:
        return False
    return stem in text if UNINFLECTED.search(stem) or " " in stem else any(word.startswith(stem) for word in words)
