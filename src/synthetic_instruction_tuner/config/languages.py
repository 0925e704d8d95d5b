"""Names of languages, for prompts that request one."""

from __future__ import annotations

NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German",
    "el": "Greek", "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian", "fi": "Finnish",
    "fr": "French", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian",
    "it": "Italian", "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian", "lv": "Latvian", "ms": "Malay",
    "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian",
    "sk": "Slovak", "sl": "Slovenian", "sr": "Serbian", "sv": "Swedish", "sw": "Swahili", "ta": "Tamil", "th": "Thai",
    "tl": "Tagalog", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
"""English names by ISO 639-1 code."""


def language_name(language: str) -> str:
    """Returns a language's English name for its code; a name is returned as it is.

    Raises:
        ValueError: an unknown code.
    """
    if language in NAMES or len(language) > 3:
        return NAMES.get(language, language)
    raise ValueError(f"there is no language code {language!r}; use one of {', '.join(sorted(NAMES))}, or a name")


def language_code(language: str) -> str | None:
    """Returns the ISO 639-1 code of a code or an English name; None for a language that is not listed."""
    names = {name.lower(): code for code, name in NAMES.items()}
    return language if language in NAMES else names.get(language.lower())
