"""How decoding divides the free memory of a GPU, and how many texts it writes at once.

The engine asks before it decodes, with what is free then; the plan asks for a card that need not be here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

MOST_ROWS = 1024  # beyond, a step takes as much longer as it writes more: arithmetic decides, no longer the weights
CPU_ROWS = 64  # a CPU's arithmetic is full before
AT_FIRST = {"cpu": CPU_ROWS, "cuda": MOST_ROWS}  # rows with ``auto``, until a GPU's free memory has been looked at
PREFILLED = 32_768  # tokens of prompts that are read at once on a GPU, at most
IDLE_PART = 0.1  # of the free memory stays free: gaps between tensors, and what the sizes here do not count
PREFILL_PART = 0.2  # of the free memory, the most that reading prompts takes
LOGITS_PART = 0.05  # of the free memory, the most that logits take where the rows are chosen here
LOGIT_BYTES = 8  # of a number of the logits: itself, and in float32
SPREAD = 0.8  # two standard deviations of a running text's size, as a part of its mean

Rows = int | Literal["auto"]
"""The setting `engine.batch_size`: texts at once, or as many as fit."""


@dataclass(frozen=True, slots=True)
class TextBytes:
    """What a model's texts take of memory while they are written.

    Attributes:
        position: bytes of the keys and values of a position, in all layers.
        read: bytes that a prompt's token takes beside them while it is read.
        vocabulary: numbers of a row of logits.
    """

    position: float
    read: float
    vocabulary: int

    @property
    def logits(self) -> float:
        """Bytes of a row of logits."""
        return float(LOGIT_BYTES * self.vocabulary)


@dataclass(frozen=True, slots=True)
class Division:
    """Parts of a GPU's free memory.

    Attributes:
        rows: the most texts at once.
        prefilled: the most tokens of prompts that are read at once.
        pages: bytes for keys and values, at most.
    """

    rows: int
    prefilled: int
    pages: float


def divided(free: float, each: TextBytes, rows: Rows, texts: int) -> Division:
    """Returns how decoding divides the free memory.

    With ``auto``, keys and values lie in pages, so that what runs at once follows the texts: the rows that are counted
    here are places, which cost a row of logits each.

    Args:
        free: bytes that are free beside the weights.
        each: what texts take.
        rows: the setting.
        texts: how many there are.
    """
    free = max(free, 0.0)
    places = min(MOST_ROWS, int(LOGITS_PART * free / each.logits)) if rows == "auto" else rows
    places = max(1, min(places, texts))
    prefilled = min(PREFILLED, max(1, int(PREFILL_PART * free / (each.position + each.read))))
    pages = (1 - IDLE_PART) * free - prefilled * (each.position + each.read) - places * each.logits
    return Division(places, prefilled, max(pages, 0.0))


def whole_rows(division: Division, each: TextBytes, longest: float, expanded: float) -> int:
    """Returns how many texts fit where each takes the room of the longest, for want of pages.

    Args:
        division: how the memory is divided.
        each: what texts take.
        longest: positions of the longest text.
        expanded: bytes of a position that attention takes for a layer at a time.
    """
    room = min(2 * longest, longest + 1024)  # the cache grows in steps
    return max(1, min(division.rows, int(division.pages / (room * (each.position + expanded)))))


def running_rows(division: Division, each: TextBytes, prompt: float, length: float) -> int:
    """Returns how many texts run at once in the mean, of more that wait.

    Long texts run longer, so that those which run hold as many tokens as a text gets, in the mean, not half as many.
    Room is left for what they may hold beyond the mean.

    Args:
        division: how the memory is divided.
        each: what texts take.
        prompt, length: tokens of a prompt and of a text, in the mean.
    """
    full = division.pages / ((prompt + length) * each.position)
    rows = (math.sqrt(full + (SPREAD / 2) ** 2) - SPREAD / 2) ** 2  # of rows + SPREAD * sqrt(rows) = full
    return max(1, min(division.rows, int(rows)))
