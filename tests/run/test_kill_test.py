"""The script that kills runs: its moments lie where they should, the same for the same seed."""

from __future__ import annotations

import runpy
from contextlib import closing
from pathlib import Path

import pytest

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks/kill_test.py"))
PASSED = {"generate:1#0": 3.0, "generate:1#1": 3.5, "prefer:1#0": 11.0}


@pytest.mark.parametrize("count", [1, 7, 30])
def test_moments_lie_within_the_stages_in_proportion_to_their_time(count: int) -> None:
    spans = [(2.0, 4.0), (10.0, 13.0)]
    found = SCRIPT["moments"](PASSED, spans, count, 0)
    assert found == SCRIPT["moments"](PASSED, spans, count, 0) != SCRIPT["moments"](PASSED, spans, count, 1)
    assert len(found) == count
    assert all(any(begin <= m.at <= end for begin, end in spans) for m in found)
    if count == 30:
        assert sum(m.at < 5 for m in found) == 12
    for moment in found:
        latest = max((t for t in PASSED.values() if t <= moment.at), default=0.0)
        assert moment.at - moment.offset == pytest.approx(latest)
        assert (moment.milestone is None) == (moment.at < 3.0)


def test_the_stage_s_own_list_is_told_from_the_work_that_it_is_made_of() -> None:
    names = {"prefer:k": True, "filter:k:verdicts": True, "prefer:k:answers:0:m": False, "prefer:k:scores:0": False}
    assert {name: SCRIPT["is_last_batch"](name) for name in names} == names


def test_the_stage_at_work_is_read_from_the_store(tmp_path: Path) -> None:
    from synthetic_instruction_tuner.run.store import Store

    assert SCRIPT["stage"](tmp_path) == "start"
    with closing(Store.open(tmp_path / "run.sqlite")) as store:
        for name in ("generate", "sft"):
            store.begin_stage(name, "key", {})
            assert SCRIPT["stage"](tmp_path) == name
            store.finish_stage(name, "digest", 1, 1, "")
        assert SCRIPT["stage"](tmp_path) == "after sft"


def test_a_process_that_does_not_leave_when_asked_is_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    import subprocess
    import sys

    good, bad = (
        "import signal, sys; signal.signal(15, lambda *_: sys.exit(130)); print(flush=True); signal.pause()",
        "import signal; print(flush=True); signal.pause()",
    )
    faults = []
    for code in (good, bad):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
        assert process.stdout
        process.stdout.readline()
        faults.append(SCRIPT["end_group"](process))
        process.stdout.close()
    assert faults == ["", "exit code -15 after SIGTERM"]
