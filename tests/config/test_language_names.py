"""Languages' names and scripts."""

from __future__ import annotations

from importlib import resources

from synthetic_instruction_tuner import config
from synthetic_instruction_tuner.config.language_names import english_names, own_names, scripts_of, usual_language
from synthetic_instruction_tuner.config.languages import FURTHER, NAMES, UNDETECTED, detectable, language_code


def test_the_file_of_own_names_is_cldr_s() -> None:
    from babel.core import Locale
    from babel.localedata import locale_identifiers

    lines = (resources.files(config) / "own_names.txt").read_text(encoding="utf-8").split("\n")
    listed = dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))
    assert set(listed) <= set(locale_identifiers()) and len(listed) > 300
    for code in sorted(listed)[::12]:  # each takes some milliseconds
        assert Locale.parse(code).languages[code] == listed[code]


def test_usual_names_keep_their_codes() -> None:
    for code, name in (NAMES | FURTHER | UNDETECTED).items():
        assert language_code(code) == language_code(name) == code
    unnamed = detectable() - set(english_names().values())
    assert unnamed == {"azb", "bcl", "bh", "bxr", "diq", "dty", "eml", "mhr", "pnb"}
    assert all(language_code(name) for name in own_names() if name)


def test_scripts() -> None:
    assert "Latn" in scripts_of("en") and scripts_of("sr") == {"Cyrl", "Latn"} and scripts_of("xx") == frozenset()
    assert {"Hani", "Hira", "Kana"} <= scripts_of("ja") and "Hani" in scripts_of("zh") and "Hang" in scripts_of("ko")
    assert [usual_language(s) for s in ("Hani", "Cyrl", "Arab", "Deva", "Zyyy")] == ["zh", "ru", "ar", "hi", ""]
