"""Texts begin where their pages will fit while they grow, so that hardly one has to wait for another's end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.engines.transformers.admission import Admission, Growing
from synthetic_instruction_tuner.models.sizes.decoding_memory import Division, TextBytes, running_rows

PAGE, BLOCK = 64, 16  # fewer steps at a time would take the test longer


@dataclass
class Row:
    """A text of the simulation: its prompt, its limit, and its length, which nobody else knows."""

    prompt: int
    limit: int
    length: int
    written: int = 0

    @property
    def state(self) -> tuple[int, int]:
        return self.prompt + self.written, self.limit - self.written

    @property
    def pages(self) -> int:
        return -(-(self.prompt + self.written + BLOCK) // PAGE)


def simulated(rows: list[Row], pages: int, slots: int = 1024) -> tuple[int, float]:
    """Decodes as the engine does, without a model; returns how many rows were evicted, and the mean that ran."""
    admission, queue, running = Admission(PAGE, BLOCK), list(rows), list[Row]()
    evicted = blocks = ran = 0
    crowded = False
    while queue or running:
        if queue and not crowded:
            waiting = queue[: slots - len(running)]
            states = (Growing.of([row.state for row in some]) for some in (running, waiting))
            room = admission.room(*states, pages)
            running, queue = running + queue[:room], queue[room:]
        while sum(row.pages for row in running) > pages:
            queue.insert(0, running.pop())
            evicted, crowded = evicted + 1, True
        for row in running:
            row.written += BLOCK
        ended = [row for row in running if row.written >= min(row.length, row.limit)]
        admission.saw(BLOCK * len(running), sum(row.length < row.limit for row in ended))
        blocks, ran = blocks + 1, ran + len(running)
        if ended:
            running, crowded = [row for row in running if row not in ended], False
    return evicted, ran / blocks


def drawn(count: int, limit: int, median: float, spread: float, seed: int = 0) -> list[Row]:
    rng = np.random.default_rng(seed)
    lengths = np.exp(rng.normal(np.log(median), spread, size=count)).astype(int) + 1
    return [Row(int(rng.integers(20, 120)), limit, int(length)) for length in lengths]


@settings(max_examples=10, deadline=None)
@given(st.integers(64, 400), st.sampled_from([60, 250, 3000]), st.sampled_from([0.4, 0.6, 1.0]), st.integers(0, 99))
def test_hardly_a_row_is_evicted(pages: int, median: int, spread: float, seed: int) -> None:
    rows = drawn(100, 512, median, spread, seed)
    evicted, _ = simulated(rows, pages)
    assert evicted <= 0.1 * len(rows)
    assert all(row.written >= min(row.length, row.limit) for row in rows)  # none is lost


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 500)), min_size=1, max_size=40), st.integers(15, 200))
def test_no_row_is_evicted_where_all_reach_their_limit(texts: list[tuple[int, int]], pages: int) -> None:
    assert simulated([Row(prompt, limit, limit) for prompt, limit in texts], pages)[0] == 0


@pytest.mark.parametrize("pages", [100, 300])
def test_as_many_run_as_the_plan_says(pages: int) -> None:
    rows = drawn(12 * pages // 5, 1024, 260, 0.6)
    _, ran = simulated(rows, pages)
    prompt, length = (float(np.mean([getattr(row, name) for row in rows])) for name in ("prompt", "length"))
    planned = running_rows(Division(1024, 1, float(pages * PAGE)), TextBytes(1.0, 1.0, 1), prompt, length)
    assert planned == pytest.approx(ran, rel=0.25)


def test_room_for_all_admits_all() -> None:
    waiting = Growing.of([(30, 1000)] * 50)
    admission = Admission(PAGE, BLOCK)
    most = 50 * -(-(30 + 1000 + BLOCK) // PAGE)
    assert admission.room(Growing.of([]), waiting, most) == 50
    assert admission.room(Growing.of([]), waiting, most - 1) == 49
    assert admission.room(Growing.of([]), waiting, 1) == 1  # else nobody ever would
    assert admission.room(Growing.of([(30, 1000)]), waiting, 1) == 0
    assert admission.room(Growing.of([(30, 1000)]), Growing.of([]), 1) == 0
    admission.saw(5000, 50)  # a hundred tokens each
    assert admission.room(Growing.of([]), Growing.of([(30, 1000)] * 400), most) > 100
