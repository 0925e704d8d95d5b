"""Which tokens are signs of a notation and no words, and which short runs of a word are meant as they are written.

Chords, notes, codons, amino acids, knitting stitches and labels of a tagger repeat because of what they write down. So
do words that are quoted or asked for, states that follow each other, and sentences such as "Buffalo buffalo Buffalo
buffalo buffalo buffalo Buffalo buffalo".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_CODON = re.compile(r"[ACGTUN]{3,}(?:-[ACGTUN]{3,})*")
_ACIDS = "Ala Arg Asn Asp Cys Gln Glu Gly His Ile Leu Lys Met Phe Pro Ser Thr Trp Tyr Val Sec Pyl Stop"
_AMINO = frozenset(_ACIDS.split())
_CHORD = re.compile(r"[A-H](?:#|b|♯|♭)?(?:maj|min|dim|aug|sus|add|m|M)?\d{0,2}(?:/[A-H][#b♯♭]?)?")
_BAR = re.compile(r"[|:/\\%.,\-–—x()\[\]\d]+")
_LABEL = re.compile(r"\w+:")
_WRAPPED = re.compile(r"[\[{<(](?=.*[\]}>)]$)[A-Z_/]{2,}\S*")
_VOWELS = frozenset("aeiouy")  # words of one letter in some language
_TEENS = "eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty"
_NUMBER_WORDS = {word: number for number, word in enumerate(f"four five six seven eight nine ten {_TEENS}".split(), 4)}
MOST_COUNTED = 20
_DIGITS = re.compile(r"\d{1,2}")
_LABEL_WORDS = """
NOUN PROPN VERB AUX ADJ ADV PRON DET ADP PRT PART NUM CONJ CCONJ SCONJ INTJ PUNCT SYM NN NNS NNP NNPS VB VBD VBG
VBN VBP VBZ JJ JJR JJS RB RBR RBS RP PRP PRP$ DT PDT WDT WP WRB CC CD MD LS PER LOC ORG MISC GPE NP VP PP ADJP
ADVP PAD BOS EOS UNK MASK SEP CLS SOS EOT BLANK
"""
_LABELS = frozenset(_LABEL_WORDS.split())  # of taggers (Universal Dependencies, Penn Treebank, CoNLL) and tokenizers
_SPAN = re.compile(r"[BIOESLU]-[A-Z]+(?:[-_][A-Z]+)*")  # B-PER
_OPENING, _CLOSING = "\"'`“„«‘「『", "\"'`”“»’」』"
_SENTENCES = frozenset(("buffalo", "police", "fish", "had", "shi", "malkovich"))  # known ones are made of one word
MENTIONED = 12  # times in a row that a word is mentioned
STATES = 8  # times in a row that a state stands
_COMMON_WORDS = """
the a an and or but of to in on at is are was be been i me my you your it he she we they this that these very so
really too much more most quite just not for with as
"""
COMMON = frozenset(_COMMON_WORDS.split())  # words that hold sentences together: never a state, and signs of prose


def signs(tokens: list[str]) -> list[bool]:
    """Returns for each token of a line, without punctuation around it, whether it is a sign of a notation."""
    longer = any(len(token) > 1 and token.isalpha() for token in tokens)
    chords = _are_chords(tokens)
    return [
        _CODON.fullmatch(token) is not None
        or token in _AMINO
        or token in _LABELS
        or _SPAN.fullmatch(token) is not None
        or (chords and _CHORD.fullmatch(token) is not None)
        or (
            len(token) == 1
            and token.isascii()
            and token.isalpha()
            and not (longer and not chords and token.islower() and token in _VOWELS)
            and not (longer and not chords and token in "AI")
        )
        for token in tokens
    ]


def is_wrapped(token: str) -> bool:
    """Returns whether a token is a placeholder in brackets, such as [MASK]."""
    return _WRAPPED.fullmatch(token) is not None


def counted(line: str) -> frozenset[int]:
    """Returns the numbers from four to twenty that a line mentions: a run of so many is an exercise in counting."""
    words = line.casefold().split()
    found = {_NUMBER_WORDS[word] for word in (raw.strip(".,;:!?()") for raw in words) if word in _NUMBER_WORDS}
    return frozenset(found | {int(digits) for digits in _DIGITS.findall(line) if 3 < int(digits) <= MOST_COUNTED})


def is_meant(run: Sequence[str], before: Sequence[str], after: Sequence[str]) -> bool:
    """Returns whether a run of one word is meant as it is written.

    Args:
        run: the tokens of the run, with their punctuation.
        before: the run before it in its line, without punctuation; empty at the start.
        after: the run after it.
    """
    if len(run) > MENTIONED:
        return False
    words = [token.strip(_OPENING + ".,;:!?()") for token in run]
    if run[0][0] in _OPENING and any(token.rstrip(".,;:!?)")[-1:] in _CLOSING for token in run[1:][-3:]):
        return True
    together = not any(token[-1] in ".,;:!?" for token in run[:-1])
    cases = {word[:1].isupper() for word in words[1:]}
    if words[0].casefold() in _SENTENCES or (together and len(cases) > 1 and words[0].casefold() not in COMMON):
        return True
    if len(run) <= STATES and all(token.endswith("!") for token in run):
        return True
    return len(run) <= STATES and any(_are_states(words[0], other) for other in (before, after) if other)


def _are_states(word: str, other: Sequence[str]) -> bool:
    """Whether two runs beside each other list states: "RED RED RED GREEN", "up up up down down"."""
    if not COMMON.isdisjoint((word.casefold(), other[0].casefold())):
        return False
    return len(other) > 1 or (len(word) > 1 and word.isupper() and other[0].isalpha() and other[0].isupper())


def _are_chords(tokens: list[str]) -> bool:
    """Whether nearly all tokens of a line are chords, bars or labels."""
    forms = (_CHORD, _BAR, _LABEL)
    found = sum(1 for token in tokens if not token or any(form.fullmatch(token) for form in forms))
    return len(tokens) > 2 and found >= 0.8 * len(tokens)
