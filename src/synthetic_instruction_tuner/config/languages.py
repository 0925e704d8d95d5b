"""Languages by code and name: those that a prompt can ask for, and those that the filter can tell apart."""

from __future__ import annotations

import difflib

from synthetic_instruction_tuner.config.language_names import base_code, english_names, names_in, own_names, plain

NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German",
    "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian", "fi": "Finnish",
    "fr": "French", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian",
    "it": "Italian", "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian", "ms": "Malay",
    "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian",
    "sk": "Slovak", "sl": "Slovenian", "sr": "Serbian", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "th": "Thai",
    "tl": "Tagalog", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
"""English names by ISO 639-1 code of the languages that the filter recognizes by name in an instruction."""

FURTHER = {
    "af": "Afrikaans", "am": "Amharic", "an": "Aragonese", "as": "Assamese", "av": "Avar", "az": "Azerbaijani",
    "ba": "Bashkir", "be": "Belarusian", "bo": "Tibetan", "br": "Breton", "bs": "Bosnian", "ce": "Chechen",
    "co": "Corsican", "cv": "Chuvash", "cy": "Welsh", "dv": "Divehi", "eo": "Esperanto", "eu": "Basque",
    "fy": "Frisian", "ga": "Irish", "gd": "Scottish Gaelic", "gl": "Galician", "gu": "Gujarati",
    "gv": "Manx", "ht": "Haitian Creole", "hy": "Armenian", "ia": "Interlingua", "ie": "Interlingue", "io": "Ido",
    "is": "Icelandic", "jv": "Javanese", "ka": "Georgian", "kk": "Kazakh", "km": "Khmer", "kn": "Kannada",
    "ku": "Kurdish", "kv": "Komi", "ky": "Kyrgyz", "la": "Latin", "lb": "Luxembourgish",
    "li": "Limburgish", "lo": "Lao", "mg": "Malagasy", "mk": "Macedonian", "ml": "Malayalam", "mn": "Mongolian",
    "mr": "Marathi", "mt": "Maltese", "my": "Burmese", "ne": "Nepali", "nn": "Norwegian Nynorsk", "oc": "Occitan",
    "or": "Odia", "os": "Ossetian", "pa": "Punjabi", "ps": "Pashto", "qu": "Quechua", "rm": "Romansh",
    "sa": "Sanskrit", "sc": "Sardinian", "sd": "Sindhi", "si": "Sinhala", "so": "Somali", "sq": "Albanian",
    "su": "Sundanese", "te": "Telugu", "tg": "Tajik", "tk": "Turkmen", "tt": "Tatar", "uz": "Uzbek",
    "vo": "Volapük", "wa": "Walloon", "yi": "Yiddish", "yo": "Yoruba",
}  # fmt: skip
"""The further languages with an ISO 639-1 code that the detector knows."""

OTHER_CODES = (
    "als", "arz", "ast", "azb", "bar", "bcl", "bh", "bpy", "bxr", "ceb", "ckb", "diq", "dsb", "dty", "eml", "frr",
    "gom", "hif", "hsb", "ilo", "krc", "lez", "lmo", "lrc", "mai", "mhr", "min", "mwl", "myv", "mzn", "nah", "nap",
    "nds", "new", "pam", "pfl", "pms", "pnb", "rue", "sah", "scn", "sco", "sh", "tyv", "vec", "vep", "vls", "war",
    "wuu", "xmf",
)  # fmt: skip
"""The detector's further codes."""

UNDETECTED = {
    "gn": "Guarani", "ha": "Hausa", "ig": "Igbo", "kw": "Cornish", "mi": "Maori", "rw": "Kinyarwanda", "sm": "Samoan",
    "sn": "Shona", "st": "Sotho", "ti": "Tigrinya", "to": "Tongan", "tn": "Tswana", "ug": "Uyghur", "wo": "Wolof",
    "xh": "Xhosa", "zu": "Zulu",
}  # fmt: skip
"""Languages that a prompt can ask for, and that the filter's detector does not know."""

_NAMED = NAMES | FURTHER | UNDETECTED
_CODES = {name.lower(): code for code, name in _NAMED.items()}


def language_name(language: str) -> str:
    """Returns a language's English name for its code; a name is returned as it is.

    A name may have further words before it: "Brazilian Portuguese".

    Raises:
        ValueError: neither the code nor the name is known.
    """
    if language in _NAMED:
        return _NAMED[language]
    if language_code(language) is not None:
        return names_in("en").get(language, language)
    near = _nearest(language, [*_CODES, *_NAMED])
    names = ", ".join(sorted(NAMES.values()))
    meant = f" (did you mean {near}?)" if near else ""
    raise ValueError(f"{language!r} is no language{meant}: write an ISO 639-1 code or an English name, such as {names}")


def language_code(language: str) -> str | None:
    """Returns the code of a language by its code, its English name, a usual synonym or its own name; None for others.

    It is an ISO 639-1 code where there is one, and the detector's where it has another ("tl" for Filipino).
    """
    if language in _NAMED or language in OTHER_CODES:
        return language
    name = " ".join(language.lower().split())
    if name in _CODES or not name:
        return _CODES.get(name)
    if language in names_in("en"):
        return base_code(language)
    names, whole = english_names(), plain(name)
    endings = (whole.split(" ", start)[-1] for start in range(whole.count(" ") + 1))
    return next((names[ending] for ending in endings if ending in names), None) or own_names().get(whole)


def detected_language(language: str) -> str:
    """Returns the code of a language for the filter, by code or name.

    Raises:
        ValueError: it is no language.
    """
    code = language.strip().lower()
    if code in detectable():
        return code
    if (named := language_code(code)) is not None:
        return named
    near = _nearest(code.replace("_", "-").partition("-")[0], sorted(detectable()))
    meant = f" (did you mean {near}?)" if near else ""
    codes = ", ".join(sorted(NAMES))
    raise ValueError(f"the filter knows no language {language!r}{meant}: write an ISO 639-1 code, such as {codes}")


def detectable() -> frozenset[str]:
    """Returns the codes of the languages that the filter's detector knows."""
    return frozenset({*NAMES, *FURTHER, *OTHER_CODES})


def _nearest(language: str, known: list[str]) -> str | None:
    """The code or name that is most like this one, a name in its usual spelling."""
    found = difflib.get_close_matches(language.lower(), known, n=1, cutoff=0.6)
    if not found:
        return None
    return _NAMED[_CODES[found[0]]] if found[0] in _CODES else found[0]
