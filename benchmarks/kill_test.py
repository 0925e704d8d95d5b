"""Kills a run many times and checks that its output is the same as without the kills.

    python benchmarks/kill_test.py --kills 30 --limit 200 -d DIR [--config FILE] [--seed 0]
    python benchmarks/kill_test.py --kills 30 --limit 500 --stages generate prefer --set prefer.samples=2 -d DIR
    python benchmarks/kill_test.py --kills 30 --stages sft prompt_tuning dpo --terminate -d DIR

Run A in DIR/a is not interrupted. The times of its milestones (batches committed, checkpoints completed) are recorded.
Run B in DIR/b is killed with SIGKILL --kills times and is resumed by the same command each time. The duration of A is
divided into that many equal parts, and one moment is drawn from each. Because restarts take time, a moment is located
in B by the milestone before it: B is killed with the same delay after that milestone as in A. With --stages, the
moments are drawn from the time in which A worked on these stages, and both runs end after the last of them. With
--terminate, every second kill is SIGTERM, as machines send it that are taken away: B must leave within 10 seconds, with
exit code 130.

Then the records, preference pairs, training orders, adapters and evaluation results of both runs are compared byte for
byte. Every batch in the store at a kill must still be the one that was committed then. The exit code is 1 if anything
differs, or if the run ended before the last kill. Only process groups that this script started are killed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POLL = 0.02  # seconds
LEAVING, INTERRUPTED = 10.0, 130  # seconds after SIGTERM, and the exit code then
STARTING = 4.0  # seconds in which a continued process mostly imports and loads
COMPARED = (
    "data/*",
    "data/raw/*",
    "data/filtered/*",
    "data/preference/*",
    "models/*/*/data_order.jsonl",
    "models/*/*/final/adapter_model.safetensors",
    "models/*/*/final/adapter_config.json",
    "evaluation/results/*",
    "evaluation/agents/*",
    "evaluation/metrics/comparison_summary.csv",
)
CHEAP = ("filter", "prefer")  # whose last batch is only sorted anew from batches that are kept

Batch = tuple[str, int]


@dataclass(frozen=True)
class Moment:
    """When B is killed: `offset` seconds after the milestone, which A passed at `at - offset`."""

    at: float
    milestone: str | None
    offset: float


@dataclass(frozen=True)
class Kill:
    """What a kill hit."""

    moment: Moment
    alive: float
    stage: str
    batches: dict[Batch, tuple[str, float]]
    checkpoints: list[str]
    fault: str = ""


def main() -> None:
    """Runs A and B, prints the table and exits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--stages", nargs="+", metavar="STAGE", help="kill only while these are at work")
    parser.add_argument("--terminate", action="store_true", help="every second kill is SIGTERM")
    parser.add_argument("--config", type=Path, help="a YAML file for both runs")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting for both runs")
    parser.add_argument("-d", "--dir", type=Path, required=True, help="an empty or new folder")
    args = parser.parse_args()
    a, b = args.dir / "a", args.dir / "b"
    if a.exists() or b.exists():
        parser.error(f"{args.dir} holds runs already; name another folder")
    args.dir.mkdir(parents=True, exist_ok=True)
    options = ["--limit", str(args.limit), *(["--config", str(args.config)] if args.config else [])]
    options += [word for text in args.set for word in ("--set", text)]
    options += ["--until", args.stages[-1]] if args.stages else []

    print(f"Run A, undisturbed, in {a}", flush=True)
    passed, spans = undisturbed(a, options, args.dir / "a.log")
    seconds = max(end for _, end in spans.values())
    print(f"  {seconds:.0f} s, {len(passed)} milestones; now run B in {b}, killed {args.kills} times", flush=True)
    if unknown := set(args.stages or ()) - set(spans):
        parser.error(f"run A did not work on {', '.join(sorted(unknown))}, only on {', '.join(spans)}")
    chosen = [spans[name] for name in args.stages] if args.stages else [(0.0, seconds * 0.98)]
    wanted = moments(passed, chosen, args.kills, args.seed)
    kills = disturbed(b, options, wanted, args.dir / "b.log", args.terminate)
    print_table(kills, store_batches(a))
    faults = differences(a, b) + batch_faults(kills, a, b) + [kill.fault for kill in kills if kill.fault]
    if len(kills) < args.kills:
        print(f"TOO SHORT: only {len(kills)} of {args.kills} kills hit the run. Raise --limit, or kill less often.")
    print("\n".join(f"DIFFERENT: {fault}" for fault in faults) or "All compared files are equal, byte for byte.")
    sys.exit(1 if faults or len(kills) < args.kills else 0)


def undisturbed(folder: Path, options: list[str], log: Path) -> tuple[dict[str, float], dict[str, tuple[float, float]]]:
    """Runs to the end; returns the milestones with their times, and when each stage began and ended.

    What comes before the first stage is named ``start``, what lies between and after stages ``else``.
    """
    passed: dict[str, float] = {}
    spans = {"start": (0.0, 0.0)}
    start = time.monotonic()
    with running(folder, options, log) as process:
        while process.poll() is None:
            now, name = time.monotonic() - start, stage(folder)
            for milestone in milestones(folder):
                passed.setdefault(milestone, now)
            name = "else" if name.startswith("after ") else name
            spans[name] = (spans.get(name, (now, now))[0], now)
            time.sleep(POLL)
    require_success(process, log)
    return passed, spans


def moments(passed: dict[str, float], spans: Sequence[tuple[float, float]], count: int, seed: int) -> list[Moment]:
    """Draws one moment from each of `count` equal parts of the spans' time, put together."""
    draw = random.Random(seed)
    found = []
    whole = sum(end - begin for begin, end in spans)
    for number in range(count):
        at = _within(spans, (number + draw.random()) / count * whole)
        before = {name: when for name, when in passed.items() if when <= at}
        last = max(before, key=lambda name: before[name], default=None)
        found.append(Moment(at, last, at - before[last] if last else at))
    return found


def _within(spans: Sequence[tuple[float, float]], at: float) -> float:
    """Returns the moment on A's clock at which so much of the spans' time has passed."""
    for begin, end in spans:
        if at <= end - begin:
            return begin + at
        at -= end - begin
    return spans[-1][1]


def disturbed(folder: Path, options: list[str], wanted: list[Moment], log: Path, terminate: bool = False) -> list[Kill]:
    """Kills the run at each moment, or asks it to end every second time, then lets it finish."""
    seen: set[str] = set()
    kills: list[Kill] = []
    draw = random.Random(len(wanted))
    for number, moment in enumerate(wanted, 1):
        start = time.monotonic()
        with running(folder, options, log) as process:
            known = moment.milestone is None or moment.milestone in seen
            while process.poll() is None and not (known or moment.milestone in seen):
                seen |= milestones(folder)
                time.sleep(POLL)
            wait = moment.offset + (draw.uniform(0, STARTING) if known and kills else 0)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(wait)
            if process.poll() is not None:
                require_success(process, log)
                print(f"  kill {number}: the run was done before it", flush=True)
                break
            fault = end_group(process) if terminate and number % 2 == 0 else kill_group(process)
        seen |= milestones(folder)
        found = (store_batches(folder), checkpoints(folder), f"kill {number}: {fault}" if fault else "")
        kill = Kill(moment, time.monotonic() - start, stage(folder), *found)
        kills.append(kill)
        about = f"{kill.stage}, {len(kill.batches)} batches stand"
        print(f"  kill {number} of {len(wanted)} after {kill.alive:.1f} s: {about}", flush=True)
    with running(folder, options, log) as process:
        process.wait()
    require_success(process, log)
    return kills


@contextlib.contextmanager
def running(folder: Path, options: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Starts the run in a process group of its own, which does not outlive the block."""
    command = [sys.executable, "-m", "synthetic_instruction_tuner", "run", "-d", str(folder), *options]
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                kill_group(process)


def kill_group(process: subprocess.Popen[bytes]) -> str:
    """Sends SIGKILL to the group and waits until the process is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return ""


def end_group(process: subprocess.Popen[bytes]) -> str:
    """Sends SIGTERM to the process and waits until it is gone; returns what is wrong with how it left."""
    start = time.monotonic()
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(3 * LEAVING)
    seconds, code = time.monotonic() - start, process.poll()
    kill_group(process)
    print(f"    SIGTERM: left after {seconds:.1f} s with exit code {code}", flush=True)
    if code not in (INTERRUPTED, 0):  # 0: it was done just then
        return f"exit code {code} after SIGTERM"
    return f"left {seconds:.1f} s after SIGTERM" if seconds > LEAVING else ""


def require_success(process: subprocess.Popen[bytes], log: Path) -> None:
    """Stops the test when the run failed by itself."""
    if process.returncode:
        print(f"The run failed with exit code {process.returncode}; the end of {log}:", flush=True)
        print("\n".join(log.read_text(errors="replace").splitlines()[-15:]))
        sys.exit(1)


def milestones(folder: Path) -> set[str]:
    """Returns the names of what is safe now: committed batches and complete checkpoints."""
    batches = {f"{unit}#{number}" for unit, number in store_batches(folder)}
    return batches | set(checkpoints(folder))


def checkpoints(folder: Path) -> list[str]:
    """Returns the complete checkpoints, as paths below the run's folder."""
    found = (folder / "models").glob("*/*/checkpoints/checkpoint-*/complete.json")
    return sorted(str(path.parent.relative_to(folder)) for path in found)


def store_batches(folder: Path) -> dict[Batch, tuple[str, float]]:
    """Returns the committed batches with their digest and seconds; the seconds tell one making from another."""
    rows = query(folder, "SELECT unit, number, digest, seconds FROM batches")
    return {(unit, number): (digest, seconds) for unit, number, digest, seconds in rows}


def stage(folder: Path) -> str:
    """Returns the stage that is not done, or what comes before and after."""
    states = query(folder, "SELECT name, json_extract(value, '$.status') FROM stages ORDER BY rowid")
    begun = [name for name, status in states if status != "done"]
    return begun[0] if begun else f"after {states[-1][0]}" if states else "start"


def query(folder: Path, sql: str) -> list[Any]:
    """Reads from the run's store; nothing while there is none."""
    path = folder / "run.sqlite"
    if not path.exists():
        return []
    with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)) as db:
        try:
            return db.execute(sql).fetchall()
        except sqlite3.OperationalError:  # it is just being created or closed
            return []


def print_table(kills: list[Kill], whole: dict[Batch, tuple[str, float]]) -> None:
    """Prints what each kill hit and what stood then."""
    print(f"\n{'kill':>4} {'aimed at':>9} {'lived':>7}  {'stage':<20} resumed from")
    for number, kill in enumerate(kills, 1):
        name = kill.stage.removeprefix("after ")
        have, total = (sum(unit.split(":")[0] == name for unit, _ in found) for found in (kill.batches, whole))
        point = f"{have} of {total} batches" + "".join(f", {folder}" for folder in kill.checkpoints[-1:])
        print(f"{number:>4} {kill.moment.at:>7.1f} s {kill.alive:>5.1f} s  {kill.stage:<20} {point}")


def differences(a: Path, b: Path) -> list[str]:
    """Returns the compared files that are not the same in both, and says how many were compared."""
    files = {p.relative_to(root) for root in (a, b) for pattern in COMPARED for p in root.glob(pattern) if p.is_file()}
    print(f"\n{len(files)} files compared")
    return sorted(str(file) for file in files if content(a / file) != content(b / file))


def content(path: Path) -> bytes | None:
    """Returns the file's bytes, or None when it is not there."""
    return path.read_bytes() if path.is_file() else None


def batch_faults(kills: list[Kill], a: Path, b: Path) -> list[str]:
    """Returns the batches that were made twice, that are missing, or that differ from A's."""
    first, last = store_batches(a), store_batches(b)
    again = {key for kill in kills for key, value in kill.batches.items() if last.get(key) != value}
    cheap = {(unit, number) for unit, number in again if unit.split(":")[0] in CHEAP and is_last_batch(unit)}
    print(f"{len(last)} batches in the store; committed work done again: {len(again - cheap)}", end="")
    print(f"; put together again from kept work: {len(cheap)}")
    faults = [f"batch {number} of {unit} was committed and made again" for unit, number in sorted(again - cheap)]
    other = {k for k in first.keys() | last.keys() if first.get(k, ("",))[0] != last.get(k, ("",))[0]}
    # Batches of trained students hold seconds, and batches of evaluation too: only their names are compared.
    timed = {"sft", "prompt_tuning", "dpo", "evaluate"}
    other = {k for k in other if k not in first or k not in last or k[0].split(":")[0] not in timed}
    return faults + [f"batch {number} of {unit} is not A's" for unit, number in sorted(other)]


def is_last_batch(unit: str) -> bool:
    """Whether the unit is a stage's own list, not the answers and scores that it is made from."""
    return len(unit.split(":")) == 2 or unit.endswith(":verdicts")


if __name__ == "__main__":
    main()
