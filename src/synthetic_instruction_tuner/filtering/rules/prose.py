"""What of a text is prose in a language, and in which scripts it is written.

Code, formulas, addresses, quotations and lists of names say nothing about the language in which a text is written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from synthetic_instruction_tuner.config.language_names import SCRIPT_NAMES

CHARACTERS = 400  # of a text; more takes time and hardly changes the result
LOOKED_AT = 4 * CHARACTERS
FENCED = re.compile(r"^ {0,3}(`{3,}|~{3,}).*?(?:^ {0,3}\1[`~]* *$|\Z)|```.*?(?:```|\Z)", re.DOTALL | re.MULTILINE)
OTHER = re.compile(
    r"`[^`\n]*`|\$\$.*?\$\$|\\\[.*?\\\]|\\\(.*?\\\)|\$[^$\n]{1,200}\$|\\begin\{.*?\\end\{\w+\*?\}|https?://\S+|"
    r"<[^<>\n]{1,200}>",
    re.DOTALL,
)
QUOTED = re.compile(
    r'"[^"\n]{1,600}"|“[^”]{1,600}”|„[^“”]{1,600}[“”]|«[^»]{1,600}»|»[^«]{1,600}«|「[^」]{1,600}」|『[^』]{1,600}』'
    r"|‘[^’\n]{1,300}’(?!\w)|(?<!\w)'[^'\n]{1,300}'(?!\w)|^ *>.*$|(?<!\w)\*[^*\n]{1,300}\*(?!\w)",
    re.MULTILINE,
)
LISTED = re.compile(r"^\s*(?:[-*•+]|\(?\d{1,3}[.)]|[a-z][.)])\s+(.*)$")
NAMED = 4  # words; shorter items of a list are names
ALONE = 2  # words; so are shorter lines
MARKED = re.compile(r"[`$\\<{}=;|&_#+^~\[\]]|://")  # there may be something of `OTHER`, or code
QUOTE = re.compile("[\"“”„«»「『‘'>*]")
NO_SIGNS = str.maketrans("", "", "[]{}()<>=;$|&\\_#@+/^~")
CODE = 0.08  # share of such characters in a line
LONG_LINE = 60  # characters; no list of names
WIDE = frozenset({"Hani", "Hira", "Kana", "Hang"})
WIDE_WEIGHT = 3  # letters of an alphabet for which a Chinese character, a kana or a Korean syllable stands
BEYOND_LATIN = re.compile(
    "[\u0370-\u1dff\u2c00-\u2c5f\u2c80-\ua71f\ua800-\uab2f\uab70-\ufaff\ufb13-\ufeff\U00010000-\U0003ffff]+"
)
RUN = re.compile(r"[^\W\d_]+")


def start_of(text: str) -> str:
    """Returns the first characters without fenced code."""
    text = text.strip()[:LOOKED_AT]
    return (FENCED.sub(" ", text) if "```" in text or "~~~" in text else text).strip()[:CHARACTERS]


def prose_of(text: str) -> str:
    """Returns the first characters of a text's prose; empty where there is none."""
    text = text.strip()[:LOOKED_AT]
    if "```" in text or "~~~" in text:
        text = FENCED.sub(" ", text)
    if MARKED.search(text):
        text = _start(OTHER.sub(" ", text), _is_code, 2 * CHARACTERS)
    if QUOTE.search(text):
        text = QUOTED.sub(" ", text)
    return _start(text, _is_name, CHARACTERS).strip()[:CHARACTERS]


def _start(text: str, left_out: Callable[[str], bool], characters: int) -> str:
    """The first lines that are not left out, with at least so many characters if there are so many."""
    lines, length = [], 0
    for line in text.split("\n"):
        if not left_out(line):
            lines.append(line)
            length += len(line)
            if length >= characters:
                break
    return "\n".join(lines)


def _is_code(line: str) -> bool:
    """Whether many of a line's characters are those of code."""
    letters = line.replace(" ", "")
    signs = len(letters) - len(letters.translate(NO_SIGNS))
    if signs < 2 or (signs <= CODE * len(letters) and not letters.endswith(";")):
        return False
    return line.isascii() or not any(len(run) > 1 for run in BEYOND_LATIN.findall(line))


def _is_name(line: str) -> bool:
    """Whether a line is an item of a list of names."""
    if len(line) > LONG_LINE and "," not in line:
        return False
    listed = LISTED.match(line)
    words = (listed[1] if listed else line).split()
    if len(words) <= ALONE and BEYOND_LATIN.search(line):
        return False  # a sentence in a script without spaces is one word
    if len(words) < (NAMED if listed else ALONE) + 1:
        return True
    return line.count(",") * 2 >= len(words)


def script_weights(text: str) -> dict[str, int]:
    """Returns how many letters of each script a text has, as ISO 15924 codes; a wide letter counts as three.

    Single letters of other alphabets are symbols of formulas, and do not count.
    """
    if text.isascii() or not BEYOND_LATIN.search(text):
        return {"Latn": len(text) - text.count(" ")}
    weights: dict[str, int] = {}
    for run in RUN.findall(unicodedata.normalize("NFKC", text)):
        for letter in run:
            script = _script(letter)
            if len(run) > 1 or script in WIDE:
                weights[script] = weights.get(script, 0) + (WIDE_WEIGHT if script in WIDE else 1)
    return dict(sorted(weights.items()))


@lru_cache(maxsize=20_000)
def _script(letter: str) -> str:
    first = unicodedata.name(letter, "LATIN").replace("-", " ").split()[0]
    return SCRIPT_NAMES.get(first, "Zyyy")
