"""Short texts that are one piece away from a text: a piece replaced, left out, or put in.

Every short text is filed under itself with each of its pieces in turn left out, and with a gap in that piece's place.
A text that is one piece away meets it under one of these keys, or under itself without one of its own pieces (the
deletion neighbourhoods of Mor and Fraenkel 1982).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

Piece = tuple[str, ...]  # what stands between two spaces, as words: one, or more as in "year-old"
Pieces = tuple[Piece, ...]
GAP: Piece = ()  # no piece is empty


class OneEdit:
    """Finds the filed texts from which a text differs by one piece."""

    def __init__(self, texts: Iterable[Pieces], most: int = sys.maxsize) -> None:
        """Files the texts.

        Args:
            texts: what is looked for.
            most: where more texts than this differ in one place alone, they are a form, and a text is not near them for
                differing in that place too.
        """
        self._texts: dict[Pieces, None] = dict.fromkeys(texts)
        self._replaced: dict[Pieces, list[Pieces]] = {}
        self._left_out: dict[Pieces, list[Pieces]] = {}
        for text in self._texts:
            for place in range(len(text)):
                self._replaced.setdefault(_gapped(text, place), []).append(text)
            for shorter in {_without(text, place) for place in range(len(text))}:
                self._left_out.setdefault(shorter, []).append(text)
        for index in (self._replaced, self._left_out):
            for key in [key for key, found in index.items() if len(found) > most]:
                del index[key]
        self._longest = max((len(text) for text in self._texts), default=0)

    def near(self, pieces: Pieces) -> Iterator[tuple[Pieces, Pieces]]:
        """Yields the filed texts that are one piece away, each once, and which of their pieces are still there.

        Args:
            pieces: the text's pieces; a filed text that it equals is not yielded.
        """
        if len(pieces) > self._longest + 1:
            return
        found: dict[Pieces, Pieces] = {}
        for place, piece in enumerate(pieces):
            for text in self._replaced.get(_gapped(pieces, place), ()):
                if text[place] != piece:
                    found.setdefault(text, _without(text, place))
            if (shorter := _without(pieces, place)) in self._texts:
                found.setdefault(shorter, shorter)
        for text in self._left_out.get(pieces, ()):
            found.setdefault(text, pieces)
        yield from found.items()


def _gapped(pieces: Pieces, place: int) -> Pieces:
    return (*pieces[:place], GAP, *pieces[place + 1 :])


def _without(pieces: Pieces, place: int) -> Pieces:
    return pieces[:place] + pieces[place + 1 :]
