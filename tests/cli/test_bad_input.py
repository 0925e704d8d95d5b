"""Files that are missing, cut off, edited or of another kind: the user is told, and never sees a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from synthetic_instruction_tuner.cli import app
from synthetic_instruction_tuner.config import load_config
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.store import Store

Sit = Callable[..., tuple[int, str, str]]
GOOD = {
    "instruction": "Why is the sky blue?",
    "response": "The air scatters the blue part of the light of the sun far more than the red part, and so we see blue "
    "light from all over the sky, whichever way we look at noon.",
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SIT_DEBUG", raising=False)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def sit(capsys: pytest.CaptureFixture[str]) -> Sit:
    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = app._exit_code(list(arguments))
        out, error = capsys.readouterr()
        assert "Traceback" not in error and "unexpected" not in error, error
        return code, out, error

    return call


def started(root: str = "runs/nano") -> RunFolder:
    folder = RunFolder(Path(root))
    folder.root.mkdir(parents=True)
    folder.config.write_text(load_config().as_json())
    store = Store.open(folder.store)
    store.begin_stage("generate", "key", {})
    store.commit_batch("generate:key", 0, [{"instruction": "a", "response": "b"}] * 50)
    store.close()
    return folder


# A run's folder


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "is damaged"),
        ("{", "is damaged"),
        ('{"profile": "nano"}', "'models' is missing"),
        ("[]", "invalid value"),
        ("null", "invalid value"),
        ('{"profile": "nano", "models": {}, "old_setting": 1}', "There is no setting 'old_setting'"),
    ],
)
def test_a_configuration_that_was_damaged(sit: Sit, text: str, part: str) -> None:
    started().config.write_text(text)
    for verb in ("status", "compare", "chat"):
        code, out, error = sit(verb)
        assert (code, out) == (2, "")
        assert part in error and len(error.splitlines()) == 3


def test_a_configuration_that_is_no_text(sit: Sit) -> None:
    started().config.write_bytes(b"\xff\xfe\x00")
    assert sit("status")[0] == 2


@pytest.mark.parametrize("verb", ("status", "run"))
@pytest.mark.parametrize("content", (b"", b"garbage" * 1000), ids=["empty", "garbage"])
def test_a_store_that_was_destroyed_names_repair(sit: Sit, verb: str, content: bytes) -> None:
    folder = started()
    folder.store.write_bytes(content)
    code, _, error = sit(verb, *(["--quiet"] if verb == "run" else []))
    assert code == 1
    assert "--repair" in error and "is damaged" in error
    assert folder.store.read_bytes() == content, "what may be saved by hand must stay as it is"


def test_a_store_cut_off_names_repair(sit: Sit) -> None:
    folder = started()
    folder.store.write_bytes(folder.store.read_bytes()[:8192])
    code, _, error = sit("status")
    assert code == 1 and "--repair" in error


def test_a_run_without_its_store(sit: Sit) -> None:
    folder = started()
    folder.store.unlink()
    code, _, error = sit("status")
    assert code == 2 and "There is no run" in error


def test_nothing_to_compare_yet(sit: Sit) -> None:
    started()
    code, _, error = sit("compare")
    assert code == 2 and "Nothing has been evaluated yet" in error


def test_chat_with_what_is_not_there(sit: Sit) -> None:
    started()
    assert "no student 'gpt'" in sit("chat", "gpt")[2]
    code, _, error = sit("chat", "student-llama", "--variant", "dpo")
    assert code == 2 and "fix: " in error


# Models


@pytest.mark.parametrize("files", ([], ["config.json"], ["model.safetensors"]))
def test_a_model_folder_that_lacks_something(sit: Sit, files: list[str]) -> None:
    Path("model").mkdir()
    for name in files:
        Path("model", name).write_text("{}")
    code, out, error = sit("run", "--quiet", "--set", "models.generator=./model")
    assert (code, out) == (2, "")
    assert "generator model is not ready" in error and "fix: " in error


def test_a_hub_model_that_cannot_be_had_offline(sit: Sit) -> None:
    code, _, error = sit("run", "--quiet", "--set", "models.students.0.path=nobody/nothing-here")
    assert code == 2 and "student nothing-here" in error and "cache" in error


def test_the_doctor_finds_it_too(sit: Sit) -> None:
    code, out, _ = sit("doctor", "--set", "models.generator=/no/such/place", "--json")
    found = json.loads(out)
    assert code == 1 and found["ready"] is False
    assert "generator place" in [c["name"] for c in found["checks"] if not c["ok"]]


# The user's own files


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("half.json", b'[{"instruction": "a", "respo', "The file half.json is not valid JSON."),
        ("binary.json", bytes(range(256)), "The file binary.json is not valid JSON."),
        ("not.parquet", b"PAR1 or not", "The file not.parquet is not valid Parquet."),
        ("table.csv", b"text,label\na,b\n", "No record could be read from table.csv."),
        ("table.xlsx", b"PK", "table.xlsx is not a file of records."),
    ],
)
def test_a_file_that_cannot_be_read(sit: Sit, name: str, content: bytes, said: str) -> None:
    Path(name).write_bytes(content)
    code, out, error = sit("filter", name, "-o", "out", "--quiet")
    assert (code, out) == (2, "") and not Path("out").exists()
    assert error.splitlines()[0] == said and 2 <= len(error.splitlines()) <= 3


@pytest.mark.parametrize(
    ("name", "content", "looks"),
    [
        ("a.jsonl", b"", "an empty file"),
        ("a.json", b"[]", "an empty file"),
        ("a.csv", b"instruction,output\n", "an empty file"),
        ("a.json", b"5", "not a number"),
        ("a.jsonl", b'{"text": "x"}\n', "(text)"),
    ],
)
@pytest.mark.parametrize("verb", ["filter", "dedup"])
def test_a_file_without_records_is_the_users_mistake(
    sit: Sit, verb: str, name: str, content: bytes, looks: str
) -> None:
    Path(name).write_bytes(content)
    code, out, error = sit(verb, name, "-o", "out", "--quiet")
    assert (code, out) == (2, "") and not Path("out/kept.jsonl").exists()
    assert error.startswith(f"No record could be read from {name}.") and "It looks like" in error
    assert looks in " ".join(error.split())


def test_bad_rows_are_counted_and_kept_aside(sit: Sit) -> None:
    rows = [
        json.dumps(GOOD),
        "{broken",
        '"text"',
        "{}",
        '{"instruction": 5}',
        json.dumps(GOOD | {"instruction": "Why?"}),
    ]
    Path("mine.jsonl").write_text("\n".join(rows) + "\n")
    code, out, _ = sit("filter", "mine.jsonl", "-o", "out", "--quiet", "--json")
    assert code == 0 and json.loads(out)
    kept = Path("out/kept.jsonl").read_text().splitlines()
    aside = [json.loads(line) for line in Path("out/malformed.jsonl").read_text().splitlines()]
    assert len(kept) == 2 and len(aside) == 4


def test_files_that_are_not_there(sit: Sit) -> None:
    for arguments in (("none.jsonl", "-o", "out"), (".", "-o", "out")):
        code, _, error = sit("filter", *arguments)
        assert code == 2 and error
    Path("mine.jsonl").write_text(json.dumps(GOOD) + "\n")
    assert "-o out" in sit("filter", "mine.jsonl")[2]
    assert "needs files" in sit("filter", "-o", "out")[2]
    assert sit("filter", "mine.jsonl", "-o", "mine.jsonl")[0] == 2
    Path("full").mkdir()
    Path("full/thesis.txt").write_text("mine")
    assert "not empty" in sit("filter", "mine.jsonl", "-o", "full")[2]
    assert Path("full/thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ((), 5),
        (("--limit", "3"), 3),
        (("--limit", "5000"), 5),
        (("--set", "limit=3"), 3),
        (("--set", "filter.keep=2"), 2),
        (("--set", "filter={keep: 2, min_words: 1}"), 2),
        (("--set", "filter.keep=2", "--limit", "1"), 1),
        (("--set", "filter.keep=null"), 5),
        (("--config", "two.yaml"), 2),
        (("--config", "none.yaml"), 5),
    ],
)
def test_as_many_of_the_users_rows_are_kept_as_asked_for(sit: Sit, options: tuple[str, ...], kept: int) -> None:
    Path("two.yaml").write_text("filter: {keep: 2}\n")
    Path("none.yaml").write_text("filter:\n# keep: 2\n")
    rows = [{"instruction": f"Say {word} for me, please", "response": "Here it is."} for word in "abcde"]
    Path("mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rules = ("--set", "filter.min_words=1", "--set", "filter.near_duplicate_threshold=1")
    assert sit("filter", "mine.jsonl", "-o", "out", "--quiet", *options, *rules)[0] == 0
    assert len(Path("out/kept.jsonl").read_text().splitlines()) == kept


def test_wrong_files_are_told_before_anything_is_downloaded(sit: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    downloads: list[str] = []
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda name, **_: downloads.append(name))
    checked = ("--set", "filter.contamination.benchmarks=[ifeval]")
    assert sit("filter", "none.jsonl", "-o", "out", *checked)[0] == 2
    Path("mine.jsonl").write_text(json.dumps(GOOD) + "\n")
    assert sit("filter", "mine.jsonl", "-o", ".", *checked)[0] == 2
    more = ("--set", "filter.contamination.files=[exam.jsonl]")
    assert sit("filter", "mine.jsonl", "-o", "out", *checked, *more)[0] == 2
    assert not downloads and not Path("out").exists()
