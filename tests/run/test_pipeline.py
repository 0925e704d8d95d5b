"""The whole command on the embedded models: what is done again, what is not, and what a crash leaves."""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from contextlib import closing, suppress
from importlib import resources
from pathlib import Path

import pytest

from synthetic_instruction_tuner.cli import app
from synthetic_instruction_tuner.config import NANO_BENCHMARKS
from synthetic_instruction_tuner.methods import VARIANTS
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.pipeline import stage_names
from synthetic_instruction_tuner.run.store import Store
from whole_runs import Sit, command

pytestmark = pytest.mark.xdist_group("pipeline")

STUDENTS = ("student-llama", "student-qwen2")
NOT_OUTPUTS = {".lock", "run.sqlite", "run.sqlite-wal", "run.sqlite-shm"}
RESULTS = (  # what must not depend on when, where and in how many attempts it was made
    "data/*/*",
    "models/*/*/data_order.jsonl",
    "models/*/*/final/*",
    "evaluation/results/*",
    "evaluation/agents/*",
    "evaluation/metrics/comparison_summary.csv",
)


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def contents(folder: Path, patterns: tuple[str, ...] = ("**/*",)) -> dict[str, bytes]:
    files = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return {str(p.relative_to(folder)): p.read_bytes() for p in files if p.name not in NOT_OUTPUTS}


def times(folder: Path) -> dict[str, int]:
    return {name: (folder / name).stat().st_mtime_ns for name in contents(folder)}


def batches(folder: Path, prefix: str = "") -> dict[tuple[str, int], tuple[str, float]]:
    """Batches of the store with digest and seconds; the seconds tell one making of a batch from another."""
    if not (folder / "run.sqlite").exists():
        return {}
    with closing(sqlite3.connect(f"file:{folder}/run.sqlite?mode=ro", uri=True)) as db:
        try:
            rows = db.execute("SELECT unit, number, digest, seconds FROM batches").fetchall()
        except sqlite3.OperationalError:
            return {}
    return {(unit, number): (digest, seconds) for unit, number, digest, seconds in rows if unit.startswith(prefix)}


def statuses(folder: Path) -> dict[str, str | None]:
    with closing(Store.open(folder / "run.sqlite", readonly=True)) as store:
        return {name: state.status if (state := store.stage(name)) else None for name in stage_names()}


def entered(stderr: str) -> list[str]:
    """Names of the stages that ran, from the lines that announce them."""
    titles = [line[2:].split(":")[0].lower() for line in stderr.splitlines() if line.startswith("▸ ")]
    return [title.replace(" ", "_") for title in titles]


def test_everything_is_there(finished: Path) -> None:
    folder = RunFolder(finished)
    for path in (folder.raw, folder.filtered, folder.filter_report, folder.pairs, folder.preference_report):
        assert path.exists() and json.loads(path.read_text())
    for path in (folder.raw, folder.filtered, folder.pairs):
        assert path.with_suffix(".parquet").exists()
    for method, students in (("sft", STUDENTS), ("prompt_tuning", STUDENTS[:1]), ("dpo", STUDENTS)):
        for student in students:
            assert (folder.model(method, student) / "final/adapter_model.safetensors").exists()
    assert not list(finished.glob("models/*/*/checkpoints"))
    assert folder.report.exists() and folder.report.with_suffix(".html").exists()
    assert set(statuses(finished).values()) == {"done"}


def test_running_it_again_changes_nothing_in_seconds(settings: Path, finished: Path) -> None:
    before, made = contents(finished), batches(finished)
    stamps = times(finished)
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command(settings, finished), capture_output=True, text=True, timeout=120)
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert end.ru_utime - start.ru_utime < 5  # seconds of the processor, which other processes hardly change
    assert done.returncode == 0 and "Nothing to do" in done.stderr
    assert contents(finished) == before and times(finished) == stamps and batches(finished) == made


def test_a_changed_filter_generates_nothing_again(run: Sit, copy: Path) -> None:
    raw, made = (copy / "data/raw/instructions_raw.json").read_bytes(), batches(copy, "generate:")
    stamps = times(copy)
    code, _, err = run(copy, "--set", "filter.max_words=30", "--until", "filter")
    assert code == 0 and entered(err) == ["filter"]
    assert "filter runs again: filter.max_words 500 -> 30" in err
    assert batches(copy, "generate:") == made
    assert (copy / "data/raw/instructions_raw.json").read_bytes() == raw
    assert times(copy)["data/raw/instructions_raw.json"] == stamps["data/raw/instructions_raw.json"]


def test_a_changed_limit_decides_again_and_measures_nothing(run: Sit, copy: Path) -> None:
    measured, before = batches(copy, "filter:signals:"), contents(copy)
    assert {unit.split(":")[2] for unit, _ in measured} >= {"empty", "length", "refusal", "language", "contamination"}
    code, _, err = run(copy, "--set", "filter.max_words=499")
    assert code == 0 and entered(err) == ["filter"]  # the same records pass, so nothing that follows is done again
    assert batches(copy, "filter:signals:") == measured
    code, _, err = run(copy, "--set", "filter.refusal_phrases=[nay]", "--until", "filter")
    assert code == 0 and {unit.split(":")[2] for unit, _ in batches(copy, "filter:signals:").keys() - measured} == {
        "refusal"
    }
    code, _, _ = run(copy, "--until", "filter")
    assert code == 0
    filtered = {name: data for name, data in before.items() if name.startswith("data/filtered")}
    assert contents(copy, ("data/filtered/*",)) == filtered


def test_a_benchmark_that_is_not_at_hand_is_said(run: Sit, copy: Path) -> None:
    code, _, err = run(copy, "--set", "filter.contamination.benchmarks=[ifeval]", "--until", "filter")
    assert code == 0 and "Contamination with ifeval will not be checked" in err
    assert "contamination not checked with ifeval" in err  # in the stage's line too
    report = json.loads((copy / "data/filtered/filter_report.json").read_text())
    assert report["benchmarks"][0]["name"] == "ifeval" and "cache" in report["benchmarks"][0]["problem"]
    code, _, err = run(copy, "--set", "filter.contamination.benchmarks=[ifeval]", "--until", "filter")
    assert code == 0 and "Nothing to do" in err and "will not be checked" not in err


def test_the_rules_and_their_hash_are_in_data_reports_card_and_store(finished: Path) -> None:
    with closing(Store.open(finished / "run.sqlite", readonly=True)) as store:
        fact = store.fact("filter_report")
    report = json.loads((finished / "data/filtered/filter_report.json").read_text())
    rows = json.loads((finished / "data/filtered/instructions_filtered.json").read_text())
    rules_hash = fact["rules_hash"]
    assert report["rules_hash"] == rules_hash and report["rules"] == fact["rules"] and "refusal" in fact["rules"]
    assert rows and {row["provenance"]["filter_rules"] for row in rows} == {rules_hash}
    card, page = (finished / "data/README.md").read_text(), (finished / "docs/report.md").read_text()
    assert rules_hash in card and rules_hash in page and "| max_words | 500 |" in card
    assert "version and settings" in card
    assert [b["name"] for b in report["benchmarks"]] == list(NANO_BENCHMARKS)


def test_from_evaluate_repeats_evaluation_and_report_only(run: Sit, copy: Path) -> None:
    before, made, stamps = contents(copy, RESULTS), batches(copy), times(copy)
    code, _, err = run(copy, "--from", "evaluate")
    assert code == 0 and entered(err) == ["evaluate", "agents", "report"]
    now = batches(copy)
    assert now.keys() == made.keys()
    redone = {unit.split(":")[0] for unit, number in now if now[unit, number] != made[unit, number]}
    assert redone == {"evaluate", "agents"}
    assert contents(copy, RESULTS) == before
    assert {n for n, t in times(copy).items() if t != stamps[n]} <= {n for n in stamps if n[:4] in ("eval", "docs")}


def test_interrupted_agents_go_on_and_end_as_if_they_had_not_been(
    run: Sit, sit: Sit, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, commit = contents(copy, RESULTS), Store.commit_batch
    assert any(name.startswith("evaluation/agents/nano_db-student-qwen2-dpo") for name in before)

    def interrupted(store: Store, unit: str, number: int, *rest: object) -> None:
        commit(store, unit, number, *rest)  # type: ignore[arg-type]
        if unit.startswith("agents:student-qwen2"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "commit_batch", interrupted)
        assert run(copy, "--from", "agents")[0] == app.INTERRUPTED
    made = batches(copy, "agents:student-llama")
    assert made and "partly done" in sit("status", "-d", copy)[1]
    code, _, err = run(copy)
    assert code == 0 and entered(err) == ["agents", "report"]
    assert contents(copy, RESULTS) == before
    assert made.items() <= batches(copy).items() and not [unit for unit, _ in batches(copy) if unit.endswith(":kept")]


def test_missing_files_are_made_again_and_nothing_else(run: Sit, copy: Path) -> None:
    before, made = contents(copy, RESULTS), batches(copy)
    gone = ["data/filtered/instructions_filtered.json", "data/preference/preference_pairs.parquet"]
    adapter = "models/sft/student-qwen2/final/adapter_model.safetensors"
    for name in (*gone, adapter):
        (copy / name).unlink()
    code, _, err = run(copy)
    assert code == 0 and entered(err) == ["filter", "prefer", "sft"]
    assert all(f"{name} is missing" in err for name in (*gone, adapter))
    assert contents(copy, RESULTS) == before
    now = batches(copy)
    redone = {unit for unit, number in made if now[unit, number] != made[unit, number]}
    assert not any(unit.startswith(("generate", "evaluate", "dpo")) or "answers" in unit for unit in redone)
    assert not any(unit.startswith("sft") for unit in redone)  # its metrics stay those of the first time


def test_damaged_files_are_named_and_made_again_as_they_were(run: Sit, sit: Sit, copy: Path) -> None:
    assert run(copy)[0] == 0  # the page names the folder
    (copy / "docs/report.md").unlink()
    assert run(copy)[0] == 0
    before, made = contents(copy), batches(copy)
    damaged = [
        "data/raw/instructions_raw.parquet",
        "data/filtered/filter_report.md",
        "data/preference/preference_pairs.json",
        "models/sft/student-qwen2/final/adapter_model.safetensors",
        "models/sft/student-llama/final/README.md",
        "models/sft/student-llama/metrics.json",
        "models/prompt_tuning/student-llama/final/tokenizer.json",
        "models/dpo/student-llama/training_log.jsonl",
        "evaluation/metrics/dpo.json",
        "evaluation/results/student-llama-base.json",
        "evaluation/metrics/comparison_summary.csv",
        "evaluation/figures/benchmarks.png",
        "docs/report.html",
    ]
    for name in damaged:
        path = copy / name
        times, content = path.stat(), bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    code, _, err = sit("chat", "student-qwen2", "-d", copy, "-v", "sft")
    assert code == 1 and "adapter_model.safetensors was changed" in err
    code, _, err = run(copy)
    assert code == 0 and [name for name in damaged if f"{name} was changed" not in err] == []
    now = contents(copy)
    assert [name for name in before if now.get(name) != before[name]] == []
    assert {name.split(".damaged-1")[0] for name in now.keys() - before.keys()} >= set(damaged[:3])
    again = {unit.split(":")[0] for unit, number in made if batches(copy)[unit, number] != made[unit, number]}
    assert again <= {"filter", "prefer"}  # they store their decisions anew
    code, _, err = run(copy)
    assert code == 0 and "Nothing to do" in err


def test_an_added_student_is_the_only_one_trained(run: Sit, copy: Path) -> None:
    kept, stamps = contents(copy, ("models/sft/*/final/*",)), times(copy)
    students = "models.students=[nano:student-llama, nano:student-mistral, nano:student-qwen2]"
    code, _, err = run(copy, "--set", students, "--until", "sft")
    assert code == 0 and entered(err) == ["sft"]
    now = contents(copy, ("models/sft/*/final/*",))
    assert kept.items() <= now.items() and all(times(copy)[name] == stamps[name] for name in kept)
    assert {name.split("/")[2] for name in now.keys() - kept.keys()} == {"student-mistral"}


def test_nothing_left_after_filtering_says_what_to_do(run: Sit, copy: Path) -> None:
    before, made = contents(copy, RESULTS), batches(copy)
    code, _, err = run(copy, "--set", "filter.min_words=490")
    assert code == 1
    assert "There are no records left after filtering." in err and "filter.min_words" in err
    assert statuses(copy)["filter"] == "failed"
    code, _, err = run(copy)  # the way back costs nothing
    assert code == 0 and "generate" not in entered(err) and "sft" not in entered(err)
    now = contents(copy, RESULTS)
    assert {name for name in before if now[name] != before[name]} == set()
    assert {k for k in made if batches(copy)[k] != made[k] and not k[0].startswith("filter")} == set()


def test_an_interrupted_run_goes_on_as_far_as_it_is_told(
    run: Sit, sit: Sit, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, commit = tmp_path / "run", Store.commit_batch

    def interrupted(store: Store, unit: str, number: int, *rest: object) -> None:
        if number == 2:
            raise KeyboardInterrupt
        commit(store, unit, number, *rest)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Store, "commit_batch", interrupted)
        code, _, err = run(folder)
    assert code == app.INTERRUPTED and "run the same command again to continue" in err
    made = batches(folder)
    assert sorted(number for _, number in made) == [0, 1]

    code, out, _ = sit("status", "-d", folder)
    assert code == 0 and "Next: generate" in out
    code, _, err = run(folder, "--until", "filter")
    assert code == 0 and entered(err) == ["generate", "filter"]
    assert made.items() <= batches(folder).items()
    whole = contents(finished, RESULTS)
    assert contents(folder, RESULTS) == {k: v for k, v in whole.items() if k.startswith(("data/raw", "data/filtered"))}
    assert [name for name, status in statuses(folder).items() if status] == ["generate", "filter"]
    assert not (folder / "docs").exists()


@pytest.mark.skipif(os.name == "nt", reason="process groups")
@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM))
def test_an_interrupt_from_outside_ends_a_run_at_once(
    run: Sit, settings: Path, finished: Path, tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "run"
    process = subprocess.Popen(
        command(settings, folder, "--until", "generate"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # shells let background jobs ignore SIGINT
    )
    try:
        while process.poll() is None and not batches(folder):
            time.sleep(0.01)
        os.killpg(process.pid, number)  # as a terminal does it: to all processes of the run
        out, err = process.communicate(timeout=60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == app.INTERRUPTED, err
    assert out == "" and err.splitlines()[-1] == app.GOES_ON and "Traceback" not in err
    made = batches(folder)
    assert made and statuses(folder)["generate"] != "done"
    code, _, _ = run(folder, "--until", "generate")
    assert code == 0 and made.items() <= batches(folder).items()
    raw = {name: value for name, value in contents(finished, RESULTS).items() if name.startswith("data/raw")}
    assert contents(folder, RESULTS) == raw


@pytest.mark.skipif(os.name == "nt", reason="process groups")
def test_killed_in_three_stages_the_outcome_is_the_same(
    run: Sit, settings: Path, finished: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    moments = (
        lambda: len(batches(folder, "generate:")) >= 2,
        lambda: any("answers" in unit for unit, _ in batches(folder, "prefer:")),
        lambda: any(folder.glob("models/sft/student-qwen2/checkpoints/*/complete.json")),
    )
    made: dict[tuple[str, int], tuple[str, float]] = {}
    for number, reached in enumerate(moments):
        process = subprocess.Popen(
            command(settings, folder, "--until", "dpo"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            while process.poll() is None and not reached():
                time.sleep(0.01)
            if number == 0:
                code, _, err = run(folder)  # meanwhile
                assert code == 2 and "is in use" in err
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert process.returncode == -signal.SIGKILL, "it was done before the kill"
        assert statuses(folder)[("generate", "prefer", "sft")[number]] == "running"
        assert made.items() <= batches(folder).items()
        made = batches(folder)
    done = subprocess.run(command(settings, folder, "--until", "dpo"), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert made.items() <= batches(folder).items()
    expected = {k: v for k, v in contents(finished, RESULTS).items() if k.startswith(("data/", "models/"))}
    now = contents(folder, RESULTS)
    assert sorted(now) == sorted(expected)
    assert [name for name in now if now[name] != expected[name]] == []


def test_outputs_name_no_path_and_no_time(finished: Path) -> None:
    home = str(Path(app.__file__).parents[2]).encode()
    day = time.strftime("%Y-%m-%d").encode()
    for name, content in contents(finished).items():
        if not name.endswith("adapter_config.json"):  # it names the base model's folder, where PEFT finds it
            assert str(finished.parent).encode() not in content and home not in content, name
        if name.startswith(("data/", "models/", "evaluation/results")) and not name.endswith(".safetensors"):
            assert day not in content, name
    for file in finished.glob("models/*/*/final/adapter_config.json"):
        base = Path(json.loads(file.read_text())["base_model_name_or_path"])
        assert base.is_absolute() and base.name.startswith("student-") and (base / "config.json").is_file()


def test_the_status_of_a_finished_run(sit: Sit, finished: Path) -> None:
    code, out, _ = sit("status", "-d", finished)
    assert code == 0 and "Everything is done" in out
    code, out, _ = sit("status", "-d", finished, "--json")
    rows = json.loads(out)
    assert code == 0 and [row["stage"] for row in rows] == stage_names()
    assert {row["next"] for row in rows} == {"skip"} and {row["status"] for row in rows} == {"done"}
    assert all(row["seconds"] >= 0 for row in rows) and rows[0]["rows_out"] == 24


def test_kept_conversations_are_printed(sit: Sit, finished: Path) -> None:
    code, out, _ = sit("agent-eval", finished, "--task", "nano_db-0000", "--show")
    assert code == 0 and "[user]" in out and all(f"nano_db-0000, {name}, dpo" in out for name in STUDENTS)
    code, _, err = sit("agent-eval", finished, "--task", "nano_db-9999")
    assert code == 2 and "There is no conversation of task nano_db-9999." in err


def test_the_comparison(sit: Sit, finished: Path) -> None:
    code, out, _ = sit("compare", "-d", finished)
    assert code == 0 and all(word in out for word in (*STUDENTS, *VARIANTS))
    code, out, _ = sit("compare", "-d", finished, "--json")
    rows = json.loads(out)
    # Only the first of the two students is prompt-tuned.
    assert code == 0 and len({(row["model"], row["variant"]) for row in rows}) == 2 * len(VARIANTS) - 1
    assert list(dict.fromkeys(row["variant"] for row in rows)) == list(VARIANTS)
    assert all(type(row["value"]) is float and type(row["n"]) is int and type(row["headline"]) is bool for row in rows)
    with (finished / "evaluation/metrics/comparison_summary.csv").open(newline="") as stream:
        exported = list(csv.DictReader(stream))
    assert [row["value"] for row in exported] == [f"{row['value']:.6g}" for row in rows]


def test_the_result_as_json(run: Sit, finished: Path) -> None:
    code, out, err = run(finished, "--json")
    found = json.loads(out)
    assert code == 0 and not err and [stage["stage"] for stage in found["stages"]] == stage_names()


@pytest.mark.parametrize("variant", ["base", "sft", "prompt_tuning"])
def test_a_chat_through_a_pipe(sit: Sit, finished: Path, monkeypatch: pytest.MonkeyPatch, variant: str) -> None:
    options = ("chat", "-d", finished, "-v", variant, "--temperature", 0, "--max-new-tokens", 12)
    answers = []
    for lines in ("Name a color.\n/new\nName a color.\n", "Name a color.\n/quit\nnever read\n"):
        monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
        code, out, err = sit(*options)
        assert code == 0 and not err
        answers.append(out)
    assert answers[0] == 2 * answers[1] and answers[1].strip()


def test_a_chat_with_what_is_not_there(sit: Sit, finished: Path) -> None:
    code, _, err = sit("chat", "student-qwen2", "-d", finished, "-v", "prompt_tuning")
    assert code == 2 and "base, sft, dpo" in err
    code, _, err = sit("chat", "nobody", "-d", finished)
    assert code == 2 and ", ".join(STUDENTS) in err


def test_an_edited_store_is_noticed_and_mended(run: Sit, copy: Path) -> None:
    before, made = contents(copy, RESULTS), batches(copy)
    with closing(sqlite3.connect(copy / "run.sqlite")) as db, db:
        edit = "UPDATE rows SET payload = replace(payload, 'a', 'b') WHERE unit LIKE 'generate:%' AND batch = 1"
        assert db.execute(edit).rowcount > 0
    (copy / "data/filtered/instructions_filtered.json").unlink()
    code, _, err = run(copy, "--until", "filter")
    assert code == 1 and "is damaged" in err and "--repair" in err
    code, _, err = run(copy, "--until", "filter", "--repair")
    assert code == 0 and "batch 1" in err
    assert contents(copy, RESULTS) == before
    now = batches(copy, "generate:")
    assert [number for unit, number in now if now[unit, number] != made[unit, number]] == [1]
    code, _, err = run(copy)  # the later stages only look again at what they have
    assert code == 0 and contents(copy, RESULTS) == before
    assert {
        k for k, v in batches(copy).items() if v != made[k] and k[0].startswith(("dpo", "sft", "evaluate"))
    } == set()


def test_the_stored_comparison_is_that_of_the_results(run: Sit, sit: Sit, copy: Path) -> None:
    """Also where answers were asked for again under the same settings, and came out differently."""
    from synthetic_instruction_tuner.run.stages.evaluate import comparison_rows

    with closing(Store.open(copy / "run.sqlite")) as store:
        key = store.stage("evaluate").key  # type: ignore[union-attr]
        stale = [row.to_json() | {"value": -1.0} for row in comparison_rows(store)]
        store.drop_unit(f"evaluate:{key}:comparison")
        store.commit_batch(f"evaluate:{key}:comparison", 0, stale)
    (copy / "evaluation/metrics/comparison_summary.csv").unlink()
    assert run(copy, "--until", "evaluate")[0] == 0
    code, out, _ = sit("compare", "-d", copy, "--json")
    values = [row["value"] for row in json.loads(out)]
    with (copy / "evaluation/metrics/comparison_summary.csv").open() as table:
        assert values == pytest.approx([float(row["value"]) for row in csv.DictReader(table)], rel=1e-5)
    assert code == 0 and -1.0 not in values


def test_an_unreadable_store_is_set_aside_only_when_asked(run: Sit, copy: Path) -> None:
    (copy / "run.sqlite").write_bytes(b"no database" * 1000)
    code, _, err = run(copy)
    assert code == 1 and "--repair" in err
    code, _, err = run(copy, "--repair", "--until", "generate")
    assert code == 0 and "run.sqlite.damaged-1" in err
    assert (copy / "run.sqlite.damaged-1").exists()


def test_files_that_were_there_before_a_stage_has_begun_are_kept(run: Sit, copy: Path) -> None:
    with closing(Store.open(copy / "run.sqlite")) as store:
        store.forget_stage("report")
    own = copy / "docs/report.md"
    own.write_text("mine")
    code, _, err = run(copy)
    assert code == 0 and "docs/report.md is not of this run; it is kept as docs/report.md.damaged-1" in err
    assert own.with_name("report.md.damaged-1").read_text() == "mine" and own.read_text() != "mine"


@pytest.mark.parametrize("content", [None, "{", '{"made_up": 1}', "other seed"])
def test_a_foreign_configuration_in_the_folder_is_replaced(run: Sit, sit: Sit, copy: Path, content: str | None) -> None:
    config = copy / "config.json"
    own = config.read_text()
    if content is None:
        config.unlink()
    else:
        config.write_text(own.replace('"seed": 17', '"seed": 18') if content == "other seed" else content)
    code, out, err = sit("status", "-d", copy)
    assert code == 0 and "Everything is done." in out, "the store keeps the settings"
    code, _, err = run(copy)
    assert code == 0 and "Nothing to do" in err
    assert config.read_text() == own
    assert ("config.json was changed" in err) == (content is not None) == (copy / "config.json.damaged-1").exists()


def test_the_models_belong_to_the_package() -> None:
    weights = resources.files("synthetic_instruction_tuner") / "nano" / "weights"
    names = {"generator", "reward", *STUDENTS, "student-mistral"}
    names |= {f"responder-{family}" for family in ("llama", "mistral", "qwen2")}
    for name in names:
        assert (weights / name / "config.json").is_file() and (weights / name / "model.safetensors").is_file()


def test_the_wheel_holds_models_and_profiles(tmp_path: Path) -> None:
    builder = pytest.importorskip("hatchling.builders.wheel")
    root = Path(__file__).parents[2]
    (wheel,) = builder.WheelBuilder(str(root)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    source = root / "src"
    package = source / "synthetic_instruction_tuner"
    wanted = {p.relative_to(source) for p in package.rglob("*") if p.is_file() and p.suffix != ".pyc"}
    assert {p.as_posix() for p in wanted if not any(part.startswith(".") for part in p.parts)} <= names
    assert not {name for name in names if name.startswith(("tests", "benchmarks", "docs"))}
