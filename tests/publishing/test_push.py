"""sit push against a local server: what is uploaded, what is not uploaded twice, and what nobody is told."""

from __future__ import annotations

import io
import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest
import yaml
from huggingface_hub import ModelCard
from local_hub import HOST, TOKEN, USER, LocalHub, Push, Repo

from synthetic_instruction_tuner.cli import app
from synthetic_instruction_tuner.exporting.results import Score, model_index
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.store import Store

pytestmark = pytest.mark.xdist_group("pipeline")  # with the other tests of the finished run
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def readable(name: str, content: bytes) -> bytes:
    """What is in a file once it is unpacked."""
    if name.endswith(".parquet"):
        table = parquet.read_table(io.BytesIO(content))
        return json.dumps(table.to_pylist(), ensure_ascii=False).encode() + repr(table.schema.metadata).encode()
    if name.endswith(".pptx"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return b"\n".join(archive.read(part) for part in archive.namelist())
    return content


def test_a_run_is_pushed_whole_and_nothing_twice(push: Push, hub: LocalHub, published_run: Path) -> None:
    code, out, err = push("--to", "anna")
    assert code == 0, err
    ids = {
        ("dataset", "anna/tiny"),
        ("space", "anna/tiny"),
        *(("model", f"anna/tiny-student-{name}-adapter") for name in ("llama-sft", "qwen2-sft", "llama-prompt-tuning")),
        *(("model", f"anna/tiny-student-{name}-dpo-adapter") for name in ("llama", "qwen2")),
    }
    assert set(hub.repos) == ids
    for (kind, name), repo in hub.repos.items():
        staged = files(published_run / "push" / f"{kind}s" / name)
        assert {path: repo.files[path] for path in staged} == staged
        assert set(repo.files) - set(staged) == {".gitattributes", "sit_push.json"}
        assert repo.private and len(repo.commits) == 2
    (collection,) = hub.collections.values()
    assert {(item["type"], item["id"]) for item in collection["items"]} == ids and collection["private"]
    assert set(hub.received.values()) == {1} and hub.repos["space", "anna/tiny"].sdk == "static"

    secret = [TOKEN, str(published_run), str(published_run.parent), HOST, USER, str(Path.home())]
    for repo in hub.repos.values():
        for path, content in repo.files.items():
            text = readable(path, content)
            found = [word for word in secret if word.encode() in text and len(word) > 5]
            assert not found, f"{path}: {found}"

    code, out, _ = push("--to", "anna", "--json")
    assert code == 0 and set(hub.received.values()) == {1}
    assert all(len(repo.commits) == 2 for repo in hub.repos.values()) and len(hub.collections) == 1
    rows = json.loads(out)["repositories"]
    assert len(rows) == len(ids) and all(row["uploaded"] == row["deleted"] == [] for row in rows)


def test_a_dry_run_shows_every_file_and_asks_nobody(
    push: Push, hub: LocalHub, published_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    code, out, err = push("--to", "acme/mine", "--dry-run")
    assert code == 0 and hub.requests == [], err
    for folder in ("datasets/acme/mine", "models/acme/mine-student-llama-dpo-adapter", "spaces/acme/mine"):
        for name, content in files(published_run / "push" / folder).items():
            size = f"{len(content)} B" if len(content) < 1000 else ""
            assert re.search(rf"^{re.escape(name)} +{size}", out, re.MULTILINE)
    assert "Nothing was uploaded" in out and "7 private repositories and a collection" in out
    code, out, _ = push("--to", "acme/mine", "--dry-run", "--what", "data", "--json")
    found = json.loads(out)
    (row,) = found["repositories"]
    assert (
        found["private"]
        and found["dry_run"]
        and row["files"] == {n: len(c) for n, c in files(published_run / "push/datasets/acme/mine").items()}
    )


@pytest.mark.parametrize("name", ["prompt", "prompt-tuning", "prompt_tuning"])
def test_a_variant_is_named_in_any_usual_way(push: Push, hub: LocalHub, name: str) -> None:
    code, out, err = push("--to", "anna", "--what", "adapters", "--variant", name, "--dry-run", "--json")
    assert code == 0 and hub.requests == [], err
    assert [row["id"] for row in json.loads(out)["repositories"]] == ["anna/tiny-student-llama-prompt-tuning-adapter"]


def test_what_is_shown_to_use_it_works(
    push: Push, hub: LocalHub, published_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines on the cards run where a folder has the repository's name: that is how the libraries look for both."""
    import datasets

    what = "data,adapters,merged,soft_prompt"
    code, _, err = push("--to", "anna/tiny", "--what", what, "--student", "student-llama", "--dry-run")
    assert code == 0, err
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(published_run / "push/datasets")
    found: dict[str, Any] = {}
    exec(_code(Path("anna/tiny")), found)
    assert set(found["data"].column_names) >= {"prompt", "chosen", "rejected"}
    for name in ("raw", "filtered"):
        assert len(datasets.load_dataset("anna/tiny", name, split="train"))
    monkeypatch.chdir(published_run / "push/models")
    for variant in ("sft-adapter", "prompt-tuning-adapter"):
        exec(_code(Path(f"anna/tiny-student-llama-{variant}")), found := {})
        assert found["model"].active_peft_config.base_model_name_or_path == "nano:student-llama"
    for variant in ("sft", "prompt-tuning"):
        code = _code(Path(f"anna/tiny-student-llama-{variant}")).replace("max_new_tokens=64", "max_new_tokens=4")
        exec(code, {"print": (said := list[str]()).append})
        assert said and isinstance(said[0], str)


def _code(folder: Path) -> str:
    found = CODE.search((folder / "README.md").read_text(encoding="utf-8"))
    assert found and folder.as_posix() in found[1]
    return found[1]


def test_cards_have_results_that_the_hub_reads(push: Push, hub: LocalHub, published_run: Path) -> None:
    assert push("--to", "anna", "--what", "data,adapters", "--student", "student-llama", "--variant", "dpo")[0] == 0
    repo = hub.repos["model", "anna/tiny-student-llama-dpo-adapter"]
    text = repo.files["README.md"].decode()
    card = ModelCard(text)
    results = {result.dataset_type: result for result in card.data.eval_results or []}
    stored = json.loads((published_run / "evaluation/results/student-llama-dpo.json").read_text())["benchmarks"]
    assert set(results) == {row["benchmark"] for row in stored if row["items"]}
    mmlu = next(row for row in stored if row["benchmark"] == "nano_mmlu")
    right = [item["scores"]["acc"][0] for item in mmlu["items"]]
    assert results["nano_mmlu"].metric_value == pytest.approx(sum(right) / len(right), abs=1e-4)
    assert "95 % interval" in str(results["nano_mmlu"].metric_name) and "8 items" in str(
        results["nano_mmlu"].metric_name
    )
    assert card.data.to_dict()["datasets"] == ["anna/tiny"] and card.data.license == "apache-2.0"
    for part in ("## Cost", "peak memory", "## Contamination", "of 8 items occur", "## Limits", "license of the data"):
        assert part in text
    head = yaml.safe_load(hub.repos["dataset", "anna/tiny"].files["README.md"].decode().split("---\n")[1])
    assert [one["config_name"] for one in head["configs"]] == ["preference", "filtered", "raw"]


def test_a_score_that_is_no_number_is_not_in_the_metadata() -> None:
    scores = [Score("a", "acc", 2, float("nan"), 0.0, 0.0), Score("b", "acc", 2, 0.5, float("nan"), float("nan"))]
    (result,) = model_index("x", scores)["model-index"][0]["results"]
    assert result["dataset"]["name"] == "b" and result["metrics"][0]["name"] == "acc (2 items)"
    assert model_index("x", scores[:1]) == {}


def test_links_of_the_report_lead_to_what_was_pushed(push: Push, hub: LocalHub) -> None:
    assert push("--to", "anna", "--what", "data,report")[0] == 0
    pushed = hub.repos["space", "anna/tiny"].files
    page, text = pushed["index.html"].decode(), pushed["docs/report.md"].decode()
    head = yaml.safe_load(pushed["README.md"].decode().split("---\n")[1])
    assert head["app_file"] == "index.html" and head["sdk"] == "static" and head["datasets"] == ["anna/tiny"]
    links = re.findall(r'<a href="([^"#]+)"', page)
    links += [f"docs/{to}" for to in re.findall(r"(?<!\\)\]\(([^)#]+)\)", text) if "://" not in to]
    inside = [re.sub(r"^docs/\.\./", "", to) for to in links if "://" not in to]
    assert inside and set(inside) <= set(pushed)
    data = {to.partition("/blob/main/")[2] for to in re.findall(rf'{hub.url}/datasets/anna/tiny[^")]*', page + text)}
    assert data and data <= set(hub.repos["dataset", "anna/tiny"].files)


def test_an_unfinished_run_is_pushed_as_far_as_it_is(
    push: Push, hub: LocalHub, published_run: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(published_run, tmp_path / "half", ignore=shutil.ignore_patterns("push")))
    store = Store.open(RunFolder(run).store)
    for stage in ("prefer", "dpo", "evaluate", "agents", "report"):
        store.forget_stage(stage)
    store.close()
    code, out, err = push("--to", "anna", run=run)
    assert code == 0, err
    assert "Not pushed: data, preference: stage prefer is not done yet." in out
    assert "Not pushed: student-qwen2, SFT + DPO: stage dpo is not done yet." in out
    assert "Not pushed: report: stage report is not done yet." in out
    card = hub.repos["dataset", "anna/half"].files["README.md"].decode()
    assert "**Not in it:** data, preference" in card and 'load_dataset("anna/half", "filtered"' in card
    assert not any(name.startswith("preference") for name in hub.repos["dataset", "anna/half"].files)
    model = hub.repos["model", "anna/half-student-qwen2-sft-adapter"].files["README.md"].decode()
    assert "It was not evaluated." in model and "model-index" not in model
    assert not any("dpo" in name or kind == "space" for kind, name in hub.repos)
    code, _, err = push("--to", "anna", "--what", "report", run=run)
    assert code == 2 and "There is nothing to push" in err and "stage report is not done yet" in err
    code, _, err = push("--to", "anna", run=tmp_path / "none")
    assert code == 2 and "There is no run" in err


def test_other_content_is_refused_and_forced(push: Push, hub: LocalHub, published_run: Path, tmp_path: Path) -> None:
    words = ("--to", "anna/tiny", "--what", "data")
    hub.repos["dataset", "anna/tiny"] = foreign = Repo(True, {".gitattributes": b"", "theirs.csv": b"a,b\n"})
    foreign.commits.append("theirs")
    code, _, err = push(*words)
    assert code == 2 and "holds something else" in err and "theirs.csv" in err and "--force" in err
    assert set(foreign.files) == {".gitattributes", "theirs.csv"}
    assert push(*words, "--force")[0] == 0
    assert "theirs.csv" not in foreign.files and "README.md" in foreign.files

    other = Path(shutil.copytree(published_run, tmp_path / "other", ignore=shutil.ignore_patterns("push")))
    store = Store.open(RunFolder(other).store)
    store.set_fact("publication", "another")
    store.close()
    code, _, err = push(*words, run=other)
    assert code == 2 and "of another run" in err

    foreign.files["README.md"] += b"my own words\n"
    foreign.files["mine.txt"] = b"mine"
    code, _, err = push(*words)
    assert code == 2 and "was changed on the Hub" in err and "README.md" in err
    assert push(*words, "--force")[0] == 0
    assert b"my own words" not in foreign.files["README.md"] and foreign.files["mine.txt"] == b"mine"


def test_public_is_only_what_is_meant_to_be(push: Push, hub: LocalHub) -> None:
    words = ("--to", "acme/tiny", "--what", "data")
    assert push(*words)[0] == 0 and hub.repos["dataset", "acme/tiny"].private
    assert push(*words, "--public")[0] == 0 and not hub.repos["dataset", "acme/tiny"].private
    code, _, err = push(*words)
    assert code == 2 and "is public" in err and "--public" in err


def test_a_collection_of_somebody_s_own_stays_as_it_is(push: Push, hub: LocalHub) -> None:
    theirs = {"slug": "anna/tiny-0", "title": "tiny", "description": "My own.", "items": [], "private": True}
    theirs |= {"owner": {"name": "anna"}, "lastUpdated": "2026-01-01T00:00:00.000Z", "theme": "blue", "upvotes": 0}
    hub.collections["anna/tiny-0"] = dict(theirs)
    words = ("--to", "Anna", "--what", "data,report", "--public")
    assert push(*words)[0] == push(*words)[0] == 0
    assert hub.collections.pop("anna/tiny-0") == theirs
    (made,) = hub.collections.values()
    assert not made["private"] and [item["id"] for item in made["items"]] == ["anna/tiny"] * 2


def test_a_token_that_may_not_collect_pushes_all_the_same(push: Push, hub: LocalHub) -> None:
    hub.fail("POST /api/collections", 403)
    code, out, err = push("--to", "anna", "--what", "data,report")
    assert code == 0 and "in no collection: The token may not write to the collection tiny." in out, err
    assert len(hub.repos) == 2 and not hub.collections


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "No name on the Hub was given"),
        (("--to", "anna/"), "is no name on the Hub"),
        (("--to", "https://huggingface.co/anna"), "is no name on the Hub"),
        (("--to", "anna/a--b"), "is no name on the Hub"),
        (("--to", "anna/" + "x" * 97), "is no name on the Hub"),
        (("--to", "안나/실행"), "is no name on the Hub"),
        (("--to", ""), "is no name on the Hub"),
        (("--to", "somebody"), "You cannot push to somebody"),
        (("--to", "anna", "--what", "data,models"), "--what data,models is not possible"),
        (("--to", "anna", "--what", ","), "--what names nothing"),
        (("--to", "anna", "--student", "gpt"), "--student gpt is not in this run"),
        (("--to", "anna", "--variant", "ppo"), "--variant ppo is not in this run"),
        (("--to", "anna", "--what", "merged", "--variant", "prompt"), "name together"),
    ],
)
def test_mistakes_upload_nothing(push: Push, hub: LocalHub, words: tuple[str, ...], said: str) -> None:
    code, _, err = push(*words)
    assert code == 2 and said in err and "fix:" in err
    assert hub.repos == {}


def test_a_pack_leaves_out_what_is_staged(push: Push, published_run: Path, tmp_path: Path) -> None:
    assert push("--to", "anna", "--what", "data", "--dry-run")[0] == 0
    assert (published_run / "push/datasets/anna/tiny/README.md").is_file()
    assert app._exit_code(["pack", str(published_run), "-o", str(tmp_path / "run.tar.zst")]) == 0
    assert app._exit_code(["unpack", str(tmp_path / "run.tar.zst"), "-o", str(tmp_path / "again")]) == 0
    assert (tmp_path / "again/data/README.md").is_file() and not (tmp_path / "again/push").exists()
