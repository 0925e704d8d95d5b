"""Every table of the command line, at every width and in a pipe: it fits, and no number is cut."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

import synthetic_instruction_tuner
from synthetic_instruction_tuner.cli import app, compare, doctor, model_doctor, status
from synthetic_instruction_tuner.config import load_config
from synthetic_instruction_tuner.config.sections.evaluate import BENCHMARKS
from synthetic_instruction_tuner.data_generation.faults import examine
from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark
from synthetic_instruction_tuner.evaluation.comparison import ComparisonRow
from synthetic_instruction_tuner.evaluation.statistics import Difference, Estimate
from synthetic_instruction_tuner.methods import BASE, VARIANTS
from synthetic_instruction_tuner.reporting.screen.wrapping import longest_number
from synthetic_instruction_tuner.run.checks.finding import Check
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.pipeline import STAGES, Step
from synthetic_instruction_tuner.run.planning import StageEstimate
from synthetic_instruction_tuner.run.remaining import StageAhead
from synthetic_instruction_tuner.run.store import Store

Sit = Callable[..., tuple[int, str, str]]
WIDTHS = ("40", "80", "100", "200")
NO_WIDTHS = ("0", "-5", "garbage", "", "٤٢", "9" * 30)
STUDENTS = [f"organization-{i}/A.Very.Long-Model-Name-{i}.5B-Instruct-v0.{i}_漢字" for i in range(1, 9)]
NUMBER = re.compile(r"[-+]?\d[\d.,]*(?:±\d[\d.,]*)?[*-]?")
NAMES = st.text("abcXYZ-_/.漢字é", min_size=1, max_size=50)


@pytest.fixture
def sit(capsys: pytest.CaptureFixture[str]) -> Sit:
    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = app._exit_code(list(arguments))
        return code, *capsys.readouterr()

    return call


def rows(students: list[str]) -> list[ComparisonRow]:
    """All variants of the students on all benchmarks, each value different."""
    found, n = [], 0
    for student in students:
        for variant in VARIANTS:
            for name in BENCHMARKS:
                for i, metric in enumerate(benchmark(name).metrics):
                    n += 1
                    value, p = n * 1.01 - 50, 0.001 if n % 3 else 0.5
                    error = (n * 7 % 90) / 100 + 0.01
                    differences = {} if variant == BASE else {BASE: Difference((-1) ** n * 0.5, 0.1, p, p)}
                    ends = (value - error, value + error)
                    found.append(
                        ComparisonRow(
                            student,
                            variant,
                            name,
                            metric.name,
                            i == 0,
                            value,
                            error,
                            *ends,
                            9,
                            9,
                            0,
                            0,
                            differences=differences,
                        )
                    )
    return found


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A made-up run of which every stage is done, with eight students whose names are long."""
    monkeypatch.chdir(tmp_path)
    folder = RunFolder(tmp_path / "run")
    folder.root.mkdir()
    folder.config.write_text(load_config().as_json())
    store = Store.open(folder.store)
    for number, stage in enumerate(STAGES, 1):
        store.begin_stage(stage.name, "key", {})
        store.add_time(stage.name, 1000.0 * number, number + 0.5)
        store.finish_stage(
            stage.name, "digest", 10**6 + number, number, f"{STUDENTS[0]} loss 0.9{number} -> 1.2345e-0{number}"
        )
    store.commit_batch("evaluate:key:comparison", 0, [row.to_json() for row in rows(STUDENTS)])
    store.close()
    return folder.root


def numbers(table_rows: list[ComparisonRow]) -> set[str]:
    return {compare._cell(row) for row in table_rows}


def judged(variant: str, metric: str, **own: Any) -> ComparisonRow:
    """A row of MT-Bench in which the variant has 0.3 more than base, surely."""
    differences = {} if variant == BASE else {BASE: Difference(0.3, 0.1, 0.001, 0.001)}
    return ComparisonRow(
        "s", variant, "mt_bench (judge: x)", metric, metric == "rating", 5.3, 0.1, 5.1, 5.5, 160, 80,
        differences=differences, **own,
    )  # fmt: skip


def test_more_failures_are_marked_as_worse(capsys: pytest.CaptureFixture[str]) -> None:
    made = [judged(variant, metric) for variant in (BASE, "sft") for metric in ("rating", "unreadable")]
    assert [compare._cell(row) for row in made[2:]] == ["5.30±0.10*", "5.30±0.10-"]
    compare.print_comparison(made, everything=True)
    out = capsys.readouterr().out
    assert "* better, - worse" in out and "lower is better: unreadable" in out and "training data" not in out
    compare.print_comparison(made)
    assert "lower is better" not in capsys.readouterr().out  # the short table has no such metric


def test_scores_without_seen_items_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    clean = Estimate(4.9, 0.2, 4.5, 5.3, 154, 77)
    made = [judged(variant, "rating", n_seen=3, clean=clean) for variant in (BASE, "sft")]
    compare.print_comparison(made, everything=True)
    out = capsys.readouterr().out
    assert "Without the items that occur in the training data" in out and out.count("4.90±0.20") == 2
    assert "3 of 80 of mt_bench" in out
    compare.print_comparison(made)
    out = capsys.readouterr().out
    assert "4.90" not in out and "scores without them: sit compare" in " ".join(out.split())


def require_fit(out: str, width: int) -> None:
    for line in out.splitlines():
        alone = len(line.split()) == 1  # a path or a name that is too long for a line stays whole
        assert alone or cell_len(line) <= max(width, longest_number(line) + 2), (width, line)


@pytest.mark.parametrize("width", WIDTHS)
def test_no_number_of_a_large_comparison_is_cut(
    sit: Sit, run: Path, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    code, out, _ = sit("compare", "--run-dir", str(run))
    assert code == 0
    shown = re.findall(r"\S+", out)
    assert numbers(rows(STUDENTS)) <= set(shown)
    require_fit(out, int(width))
    assert "…" not in out and "\x1b" not in out
    for name in STUDENTS:
        assert name in out or name.split("/")[1].split("-Name")[0][:6] in out


def test_in_a_pipe_nothing_is_wrapped(sit: Sit, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def screens(*options: str) -> list[str]:
        return [sit(verb, *options, "--run-dir", str(run))[1] for verb in ("compare", "status")]

    monkeypatch.delenv("COLUMNS", raising=False)
    plain = screens()
    lines = plain[0].splitlines()
    assert sum(STUDENTS[0] in line for line in lines) == len(VARIANTS) * len(BENCHMARKS)
    for columns in NO_WIDTHS:
        monkeypatch.setenv("COLUMNS", columns)
        assert screens() == plain, columns
    monkeypatch.setenv("COLUMNS", "40")
    assert screens("--wide") == plain


def test_the_comparison_in_other_formats(sit: Sit, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    found = {name: sit("compare", "--run-dir", str(run), "--format", name)[1] for name in compare.Format}
    read = json.loads(found["json"])
    assert read == [row.to_json() for row in rows(STUDENTS)] == json.loads(sit("compare", "-d", str(run), "--json")[1])
    assert all(isinstance(row["value"], float) for row in read)
    table = list(csv.DictReader(io.StringIO(found["csv"])))
    assert [float(row["value"]) for row in table] == pytest.approx([row["value"] for row in read], rel=1e-5)
    lines = found["markdown"].splitlines()
    assert sum(line.startswith("## ") for line in lines) == len(BENCHMARKS)
    assert all(number.replace("*", "\\*") in found["markdown"] for number in numbers(rows(STUDENTS)))
    assert sit("compare", "--run-dir", str(run), "--format", "pdf")[0] == 2


@pytest.mark.parametrize("width", (*WIDTHS, None))
def test_the_status_fits(run: Path, width: str | None) -> None:
    with closing(Store.open(RunFolder(run).store, readonly=True)) as store:
        states = [store.stage(stage.name) for stage in STAGES]
    stages = [
        StageAhead(Step(stage, "skip"), state, StageEstimate(stage.name, 1.0, 1.0, ""))
        for stage, state in zip(STAGES, states, strict=True)
    ]
    out = "\n".join(line for line, _ in status._table(tuple(stages)).lines(int(width) if width else None))
    if width:
        require_fit(out, int(width))
    assert "1,000,002" in out and "1.2345e-08" in out and "16 min 40 s" in out and "8.5 GB" in out


@pytest.mark.parametrize("width", WIDTHS)
def test_the_status_of_a_run_to_redo_fits(sit: Sit, run: Path, monkeypatch: pytest.MonkeyPatch, width: str) -> None:
    monkeypatch.setenv("COLUMNS", width)
    code, out, _ = sit("status", "--run-dir", str(run))
    assert code == 0 and "16 min 40 s" in out
    require_fit(out, int(width))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("profile", ("nano", "h200"))
def test_the_plan_fits(sit: Sit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: str, profile: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", width)
    code, out, _ = sit("plan", "--profile", profile)
    assert code == 0 and re.search(r"\d+\.\d GB", out)
    require_fit(out, int(width))


@given(st.lists(NAMES, min_size=1, max_size=3, unique=True), st.one_of(st.none(), st.integers(40, 250)))
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
def test_any_students_comparison_fits(students: list[str], width: int | None) -> None:
    made = rows(students)
    lines = [line for _, table in compare._tables(made) for line, _ in table.lines(width)]
    assert numbers(made) <= {word for line in lines for word in line.split()}
    if width is not None:
        require_fit("\n".join(lines), width)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_doctor_s_findings_fit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    checks = [Check(f"student {name}", False, f"needs 12.5 GB, {name}", f"--set a={name}") for name in STUDENTS]
    doctor._print(load_config(), [*checks, Check("disk", True, "80.2 GB free")], False)
    out = capsys.readouterr().out
    require_fit(out, int(width))
    assert out.count("12.5 GB") + len(re.findall(r"12\.5\n", out)) == len(STUDENTS)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_doctor_of_a_model_fits_and_is_not_empty(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    texts = ["Describe the sea and [what] lives in it, :smile: with 12,345 words. " * 3] * 16
    health = examine(texts, [False] * 16)
    template = {"before the user's message": "'<|im_start|>user\\n'" * 4, "stops": "<|im_end|> [INST]"}
    model_doctor._print(model_doctor.Findings(STUDENTS[0], template, health, 0.5, ()))
    out = capsys.readouterr().out
    require_fit(out, int(width))
    joined = "".join(out.split())
    assert "<|im_start|>" * 1 in joined and "[INST]" in joined and "usable" in out and ":smile:" in joined
    assert joined.count("<|im_start|>user\\n") == 4


def test_status_names_what_it_counts() -> None:
    by_name = {stage.name: stage for stage in STAGES}
    assert by_name["generate"].flow(None, 1500) == "1,500 records"
    assert by_name["filter"].flow(1500, 958) == "1,500 records -> 958 kept"
    assert by_name["sft"].flow(958, 1) == "958 records -> 1 adapter"
    assert by_name["dpo"].flow(389, 3) == "389 pairs -> 3 adapters"
    assert by_name["evaluate"].flow(2, 4) == "2 items x 4 variants"
    assert by_name["report"].flow(None, 8) == "8 files"


def test_there_is_one_kind_of_table() -> None:
    source = Path(synthetic_instruction_tuner.__file__).parent
    assert [f for f in source.rglob("*.py") if "rich.table" in f.read_text(encoding="utf-8")] == []


def test_memory_has_one_unit() -> None:
    source = Path(synthetic_instruction_tuner.__file__).parent
    assert [f for f in source.rglob("*.py") if re.search(r"\b[GM]iB\b", f.read_text(encoding="utf-8"))] == []
