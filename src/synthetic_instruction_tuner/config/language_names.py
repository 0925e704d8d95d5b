"""Names and scripts of all languages, from Unicode's CLDR (the library Babel), and usual names that it lacks.

Babel is imported when a name is looked up, not before. A name is found in any case, with or without accents.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib import resources

SYNONYMS = {
    "azeri": "az", "bahasa": "id", "bahasa indonesia": "id", "bahasa melayu": "ms", "bangla": "bn", "bengali": "bn",
    "brazilian": "pt", "brasileiro": "pt", "byelorussian": "be", "canarese": "kn", "castellano": "es",
    "castilian": "es", "catala": "ca", "creole": "ht", "crioulo": "kea", "dari": "fa", "dhivehi": "dv",
    "euskera": "eu", "farsi": "fa", "flemish": "nl", "frisian": "fy", "gaelic": "gd", "gaeilge": "ga",
    "gujerati": "gu", "hangeul": "ko", "hangugeo": "ko", "hangul": "ko", "hanja": "ko", "hanyu": "zh", "hanzi": "zh",
    "hindustani": "hi", "hinglish": "hi", "hiragana": "ja", "hokkien": "nan", "isixhosa": "xh", "isizulu": "zu",
    "ivrit": "he", "kana": "ja", "kanji": "ja", "katakana": "ja", "kirghiz": "ky", "kirundi": "rn", "kiswahili": "sw",
    "kinyarwanda": "rw", "konkani": "gom", "kurmanji": "ku", "luganda": "lg", "malay": "ms", "mandarin": "zh",
    "maori": "mi", "marathi": "mr", "moldovan": "ro", "montenegrin": "sr", "myanmar": "my", "nahuatl": "nah",
    "nihongo": "ja", "nynorsk": "nn", "oriya": "or", "panjabi": "pa", "pilipino": "tl", "pinyin": "zh",
    "pushto": "ps", "putonghua": "zh", "quechua": "qu", "romaji": "ja", "rumantsch": "rm", "scots gaelic": "gd",
    "shanghainese": "wuu", "sinhalese": "si", "slovene": "sl", "sorani": "ckb", "sotho": "st", "swiss german": "als",
    "taglish": "tl", "taiwanese": "zh", "te reo": "mi", "te reo maori": "mi", "teochew": "nan", "tetun": "tet",
    "tibetan": "bo", "uighur": "ug", "valencian": "ca", "zhongwen": "zh", "wuu": "wuu", "yue": "yue",
    "filipino": "tl", "filipina": "tl", "simplified chinese": "zh", "traditional chinese": "zh", "avar": "av",
    "ossetian": "os", "elvish": "qya", "quenya": "qya", "sindarin": "sjn", "dothraki": "art", "high valyrian": "art",
    "na'vi": "art", "pig latin": "art", "emoji": "art",
    "amarinya": "am", "amharinya": "am", "guoyu": "zh", "hayeren": "hy", "huayu": "zh", "kartuli": "ka", "parsi": "fa",
}  # fmt: skip
"""Usual names of languages that CLDR lacks, in lower case and without accents, by code."""

OWN_SYNONYMS = {
    "ar": ("العربية الفصحى", "عربي", "بالعربية", "بالعربي"), "es": ("castellano",), "eu": ("euskera",),
    "fa": ("پارسی",), "he": ("בעברית",), "hi": ("हिंदी",), "id": ("bahasa",), "ja": ("にほんご", "国語"),
    "ko": ("한국말", "우리말"), "th": ("ภาษาไทย",), "ur": ("اردو زبان",),
    "zh": ("汉语", "漢語", "普通话", "普通話", "华语", "華語", "国语", "國語",
           "简体中文", "簡體中文", "繁體中文", "繁体中文"),
}  # fmt: skip
"""Other names of languages in themselves, by code."""

SAME = {
    "fil": "tl",
    "yue": "zh",
    "nan": "zh",
    "nb": "no",
    "iw": "he",
    "in": "id",
    "cmn": "zh",
    "prs": "fa",
    "gsw": "als",
}
"""Codes that stand for a language under another code of the detector."""

SCRIPT_NAMES = {
    "LATIN": "Latn", "CYRILLIC": "Cyrl", "GREEK": "Grek", "ARABIC": "Arab", "HEBREW": "Hebr", "DEVANAGARI": "Deva",
    "BENGALI": "Beng", "GURMUKHI": "Guru", "GUJARATI": "Gujr", "ORIYA": "Orya", "TAMIL": "Taml", "TELUGU": "Telu",
    "KANNADA": "Knda", "MALAYALAM": "Mlym", "SINHALA": "Sinh", "THAI": "Thai", "LAO": "Laoo", "TIBETAN": "Tibt",
    "MYANMAR": "Mymr", "GEORGIAN": "Geor", "ARMENIAN": "Armn", "HANGUL": "Hang", "ETHIOPIC": "Ethi", "KHMER": "Khmr",
    "MONGOLIAN": "Mong", "CJK": "Hani", "HIRAGANA": "Hira", "KATAKANA": "Kana", "BOPOMOFO": "Bopo", "THAANA": "Thaa",
    "SYRIAC": "Syrc", "CHEROKEE": "Cher", "CANADIAN": "Cans", "TIFINAGH": "Tfng", "COPTIC": "Copt", "YI": "Yiii",
}  # fmt: skip
"""ISO 15924 codes of scripts by the first word of their letters' Unicode names."""

TOGETHER = {
    "Hans": {"Hani", "Bopo"}, "Hant": {"Hani", "Bopo"}, "Hani": {"Hani", "Bopo"}, "Jpan": {"Hani", "Hira", "Kana"},
    "Hira": {"Hani", "Hira", "Kana"}, "Kore": {"Hang", "Hani"},
}  # fmt: skip
"""The scripts that make up a language's way of writing."""

WORDS = re.compile(r"[^\W\d_]+(?:['’ʻʼ-][^\W\d_]+)*")


def plain(name: str) -> str:
    """Returns a name in lower case and without accents, as names are compared."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return " ".join("".join(c for c in letters if not unicodedata.combining(c)).replace("’", "'").split())


@cache
def english_names() -> dict[str, str]:
    """Returns the codes of all languages by plain English name."""
    named = {plain(name): base_code(code) for code, name in names_in("en").items()}
    return named | SYNONYMS


@cache
def names_in(language: str) -> dict[str, str]:
    """Returns the names of languages in a language, by code; empty where CLDR does not have the language."""
    from babel.core import Locale, UnknownLocaleError

    try:
        return {str(code): str(name) for code, name in Locale.parse(language).languages.items()}
    except (UnknownLocaleError, ValueError):
        return {}


def own_name(language: str) -> str:
    """Returns a language's name in itself, plain; empty where it is not known."""
    return _own_names().get(language, "")


@cache
def own_forms(language: str) -> tuple[str, ...]:
    """Returns a language's names in itself, plain: its usual one first, if that is known."""
    names = (own_name(language), *map(plain, OWN_SYNONYMS.get(language, ())))
    return tuple(name for name in names if name)


@cache
def own_names() -> dict[str, str]:
    """Returns the codes of all languages by their own names, plain."""
    return {name: base_code(code) for code, name in _own_names().items()}


@cache
def _own_names() -> dict[str, str]:
    """Own names by code, from a file: CLDR's own take a second to load, because each is in another file."""
    text = (resources.files(__package__) / "own_names.txt").read_text(encoding="utf-8")
    pairs = (line.split(" ", 1) for line in text.split("\n") if line and not line.startswith("#"))
    return {code: plain(name) for code, name in pairs}


@cache
def scripts_of(language: str) -> frozenset[str]:
    """Returns the scripts in which a language is usually written, as ISO 15924 codes; empty where not known."""
    from babel.core import get_global
    from babel.localedata import locale_identifiers

    likely = get_global("likely_subtags").get(language, "").split("_")
    own = [code.split("_") for code in locale_identifiers() if code.startswith(f"{language}_")]
    found = {part for parts in (likely, *own) for part in parts[1:2] if len(part) == 4}
    return frozenset(script for part in found for script in TOGETHER.get(part, {part})) | _ALSO.get(
        language, frozenset()
    )


_ALSO = {"sr": frozenset({"Latn", "Cyrl"}), "sh": frozenset({"Latn", "Cyrl"}), "ku": frozenset({"Latn", "Arab"})}


@cache
def usual_language(script: str) -> str:
    """Returns the language that is most often written in a script, ``zh`` for ``Hani``; empty where not known."""
    from babel.core import get_global

    return str(get_global("likely_subtags").get(f"und_{script}", "")).partition("_")[0]


def base_code(code: str) -> str:
    """The language's code without region and script: Mexican Spanish is Spanish."""
    base = code.partition("_")[0]
    return SAME.get(base, base)
