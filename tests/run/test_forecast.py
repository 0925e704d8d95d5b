"""The time left: the plan at first, then what is measured; it never stands still and never vanishes from the screen."""

from __future__ import annotations

import io
import random
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.progress import Progress

from synthetic_instruction_tuner.config import load_config
from synthetic_instruction_tuner.models.hardware import Hardware
from synthetic_instruction_tuner.reporting.formatting import rate
from synthetic_instruction_tuner.run.planning import estimate, evaluation_step
from synthetic_instruction_tuner.run.progress.forecast import Forecast, Left, Part, TaskForecast
from synthetic_instruction_tuner.run.progress.live_line import line

PACES = st.floats(0.2, 20)


@given(PACES, st.integers(10, 500), st.one_of(st.none(), st.floats(1, 5000)))
def test_a_steady_task_is_foretold_once_a_third_is_done(pace: float, total: int, planned: float | None) -> None:
    if planned is not None:
        planned = min(max(planned, pace * total / 10), pace * total * 10)  # a plan that is up to ten times off
    task, now = TaskForecast(0.0, total, planned=planned), 0.0
    for done in range(1, total):
        now += pace
        task.advance(1, now)
        left, truth = task.left(now), pace * (total - done)
        assert left.seconds is not None and left.measured and not left.late
        if done > total / 3:
            assert truth / 3.5 <= left.seconds <= truth * 3.5 + 3
        if planned is None:
            assert left.seconds == pytest.approx(truth, rel=0.01, abs=1)


def test_before_the_first_measurement_the_plan_is_named() -> None:
    assert TaskForecast(0.0, 10).left(5.0).words() == "time left not known yet"
    assert TaskForecast(0.0, 10, planned=60.0).left(10.0).words() == "about 50 s left by the plan"
    assert Left(50.0, measured=True).words() == "about 50 s left"
    assert Left(50.0, late=True).words() == "longer than expected, about 50 s left"


@given(st.integers(2, 50), st.one_of(st.none(), st.floats(5, 500)), st.integers(1, 20))
def test_an_estimate_never_stands_still(total: int, planned: float | None, pace: int) -> None:
    task = TaskForecast(0.0, total, planned=planned)
    for done in range(1, total):
        task.advance(1, float(done * pace))
    start = float((total - 1) * pace)
    seconds = [task.left(start + wait).seconds or 0.0 for wait in range(0, 600, 30)]
    assert all(abs(a - b) > 1 for a, b in pairwise(seconds[2:])), seconds
    assert seconds[-1] > 60 and task.left(start + 600).late  # what has not come for ten minutes is not 10 s away


def test_a_finished_task_tells_of_those_to_come_in_its_stage() -> None:
    forecast = Forecast()
    forecast.plan(
        {"evaluate": 330.0}, {"evaluate": [Part(name, 100.0, telling=True) for name in ("one", "two", "three")]}
    )
    forecast.enter("evaluate", 0.0)
    forecast.begin_task("one", 10, 0, 0.0).advance(10, 300.0)  # three times slower than planned
    task = forecast.begin_task("two", 10, 0, 300.0)
    assert 250 < (task.left(300.0).seconds or 0.0) <= 300
    assert 500 < forecast.left(300.0) <= 600
    forecast.skip(["three"])  # done before
    assert 250 < forecast.left(300.0) <= 300


def test_the_pace_is_that_of_this_attempt() -> None:
    task = TaskForecast(0.0, 100, done=60)
    assert task.rate() is None
    task.advance(20, 10.0)
    assert task.rate() == pytest.approx(2.0)
    assert [rate(x) for x in (1234.0, 25.0, 4.21, 0.2, 0.001)] == [
        "1,234 a second",
        "25 a second",
        "4.2 a second",
        "12 a minute",
        "3.6 an hour",
    ]


def test_what_an_earlier_attempt_did_is_not_this_attempt_s_pace() -> None:
    task = TaskForecast(0.0, 1000, done=900)
    task.advance(50, 20.0)
    assert task.left(20.0).seconds == pytest.approx(20)


def test_stages_of_a_kind_learn_from_each_other() -> None:
    forecast = Forecast()
    forecast.plan({"generate": 100.0, "sft": 50.0, "evaluate": 200.0, "report": 6.0})
    assert forecast.left(0.0) == 356
    forecast.enter("generate", 0.0)
    assert forecast.left(30.0) == 326  # it counts down while models are loaded
    forecast.leave("generate", 300.0)  # three times the plan
    assert forecast.left(300.0) == pytest.approx(50 + 6 + 200 * 305 / 105)
    forecast.leave("sft", 300.0)  # skipped: nothing is learned
    assert forecast.left(300.0) == pytest.approx(6 + 200 * 305 / 105)


def test_one_odd_stage_does_not_make_everything_absurd() -> None:
    forecast = Forecast()
    forecast.learn("generate", 1e6, 1.0)
    assert forecast.scaled("evaluate", 100.0) <= 1000
    forecast.learn("sft", 0.0, 1e6)
    assert forecast.scaled("dpo", 100.0) >= 20


def test_a_stage_is_its_tasks_and_those_to_come() -> None:
    forecast = Forecast()
    forecast.plan({"prefer": 90.0}, {"prefer": [Part("a", 30.0), Part("b", 30.0), Part("scoring", 30.0)]})
    forecast.enter("prefer", 0.0)
    task = forecast.begin_task("a", 10, 0, 0.0)
    assert forecast.left(0.0) == 90
    for now in (12.0, 24.0, 36.0, 48.0, 60.0):  # half as fast again
        task.advance(1, now)
    assert 100 < forecast.left(60.0) < 125
    forecast.begin_task("b", 10, 0, 120.0)
    assert forecast.left(120.0) == 60


def test_what_is_measured_tells_of_the_stages_to_come_at_once() -> None:
    forecast = Forecast()
    forecast.plan({"generate": 100.0, "evaluate": 100.0}, {"generate": [Part("writing", 100.0)]})
    forecast.enter("generate", 0.0)
    task = forecast.begin_task("writing", 100, 0, 0.0)
    for now in range(1, 51):
        task.advance(1, 3.0 * now)
    assert 380 < forecast.left(150.0) < 460  # 150 of this stage, and nearly 300 of the next


@pytest.mark.parametrize("seed", range(5))
def test_a_run_is_foretold_better_as_it_goes_on(seed: int) -> None:
    """A made-up run of all stages on a machine that the plan does not know, with a clock of its own."""
    draw, slower = random.Random(seed), random.Random(seed).uniform(0.5, 5)
    plan = {"generate": 100.0, "prefer": 60.0, "sft": 40.0, "dpo": 40.0, "evaluate": 150.0, "report": 6.0}
    parts = {stage: [Part(f"{stage} task", seconds)] for stage, seconds in plan.items() if stage != "report"}
    takes = {stage: seconds * slower * draw.uniform(0.8, 1.25) for stage, seconds in plan.items()}
    forecast, now, seen = Forecast(), 0.0, list[tuple[float, float]]()
    forecast.plan(plan, parts)
    for stage, seconds in takes.items():
        forecast.enter(stage, now)
        task = forecast.begin_task(f"{stage} task", 100, 0, now)
        for _ in range(100):
            now += seconds / 100
            task.advance(1, now)
            seen.append((now, forecast.left(now)))
        forecast.leave(stage, now)
    whole = sum(takes.values())
    first, last = abs(sum(plan.values()) - whole), [abs(left - (whole - at)) for at, left in seen]
    assert max(last[330:]) <= 0.3 * whole
    assert sum(last[330:]) / len(last[330:]) <= first / 2 + 0.05 * whole


@pytest.mark.parametrize("busy", (2.0, 4.0, 8.0))
def test_a_machine_that_was_busy_at_first_is_forgotten(busy: float) -> None:
    """The first stage takes several times its plan, because of other work; the later ones take what was planned."""
    plan = {"generate": 600.0, "prefer": 300.0, "evaluate": 900.0}
    forecast, now = Forecast(), 0.0
    forecast.plan(plan, {stage: [Part(f"{stage} task", seconds)] for stage, seconds in plan.items()})
    for stage, pace in (("generate", busy), ("prefer", 1.0), ("evaluate", 1.0)):
        forecast.enter(stage, now)
        task = forecast.begin_task(f"{stage} task", 100, 0, now)
        for done in range(1, 101):
            now += pace * plan[stage] / 100
            task.advance(1, now)
            if stage == "prefer":
                truth = plan["prefer"] * (1 - done / 100) + plan["evaluate"]
                if done >= 70:
                    assert forecast.left(now) == pytest.approx(truth, rel=0.1 * busy)
                if done == 100:
                    assert forecast.left(now) == pytest.approx(truth, rel=0.05 * busy)
        forecast.leave(stage, now)


@given(st.floats(2, 10), st.integers(20, 60), st.one_of(st.none(), st.floats(50, 150)))
def test_a_task_on_a_machine_that_was_busy_at_first(busy: float, until: int, planned: float | None) -> None:
    task, now = TaskForecast(0.0, 100, planned=planned), 0.0
    for done in range(1, 100):
        now += busy if done <= until else 1.0
        task.advance(1, now)
        if done >= until + 30:
            left, truth = task.left(now).seconds, 100.0 - done
            assert left is not None and left <= truth * (1 + 0.4 * busy) + 1


def test_a_machine_that_becomes_busy_is_noticed() -> None:
    task = TaskForecast(0.0, 100, planned=100.0)
    for done in range(1, 51):
        task.advance(1, float(done))
    for more in range(1, 26):
        task.advance(1, 50 + 4.0 * more)
    assert (task.left(150.0).seconds or 0.0) > 60  # 100 in truth, 50 by the mean of all


def test_the_plan_names_the_tasks_and_their_seconds() -> None:
    config = load_config()
    found = {e.stage: e for e in estimate(config, Hardware("cpu", "x86_64", 2, 16.0, None, None, "2.6", "5.10"))}
    for name in ("generate", "prefer", "sft", "dpo", "evaluate"):
        assert found[name].parts
        assert 0 < sum(part.seconds for part in found[name].parts) <= found[name].seconds + 1e-6
    assert evaluation_step("student-llama", "dpo", "nano_mt") in {part.label for part in found["evaluate"].parts}


# The live line

LABELS = st.text("abc漢字-_ ", min_size=1, max_size=60)


@given(
    LABELS,
    st.integers(1, 10**7),
    st.floats(0, 1),
    st.text("abc漢 -/", max_size=60),
    st.builds(Left, st.one_of(st.none(), st.floats(0, 1e6)), st.booleans(), st.booleans()),
    st.integers(40, 250),
)
def test_count_and_time_left_are_the_last_to_go(
    label: str, total: int, share: float, note: str, left: Left, width: int
) -> None:
    done = int(total * share)
    progress = Progress(console=Console(file=io.StringIO()))
    fields = {"unit": "benchmarks", "note": note, "left": lambda: left, "run": lambda: 1e5}
    progress.add_task(label, total=total, completed=done, **fields)
    (task,) = progress.tasks
    text, counted = line(task, "⠋", width), f"{done:,}/{total:,}"
    assert cell_len(text) <= max(width, cell_len(f"{counted} {left.short()}"))
    assert counted in text
    assert re.search(r"\d+ (s|min|h)( \d\d (s|min))? left|not known yet|\? left", text)


def test_figures_that_do_not_fit_are_left_out_from_the_end() -> None:
    progress = Progress(console=Console(file=io.StringIO()))
    note = "loss 1.234 · 5,430 tok/s · lr 2.0e-04 · 11.2 GB"
    fields = {"unit": "%", "note": note, "left": lambda: Left(600.0, True), "run": lambda: 600.0}
    progress.add_task("training student-llama", total=100, completed=40, **fields)
    (task,) = progress.tasks
    shown = {width: line(task, "⠋", width) for width in (60, 80, 100, 120)}
    assert shown[120].endswith("11.2 GB") and shown[100].endswith("lr 2.0e-04")
    assert shown[80].endswith("left  loss 1.234")
    assert shown[60].endswith("about 10 min 00 s left")
