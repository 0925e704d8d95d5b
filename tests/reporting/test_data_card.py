"""The data card: metadata that the Hub takes, facts as they are, licenses that are computed and never guessed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from synthetic_instruction_tuner.config import FilterConfig, ModelConfig, PreferConfig, load_config
from synthetic_instruction_tuner.filtering.quality_filter import QualityFilter
from synthetic_instruction_tuner.filtering.report import FilterReport
from synthetic_instruction_tuner.preference.pair_statistics import PairStatistics
from synthetic_instruction_tuner.preference.report import PreferenceReport
from synthetic_instruction_tuner.records import Answer, PreferencePair, Record
from synthetic_instruction_tuner.reporting.data_card import CardFacts, DataSet, data_card, metadata
from synthetic_instruction_tuner.reporting.diversity import diversity
from synthetic_instruction_tuner.reporting.licenses import CLASSES, card_license, license_class, strictest
from synthetic_instruction_tuner.reporting.model_facts import ModelFacts, model_facts
from synthetic_instruction_tuner.run.roles import data_models

EVIL = "| `x` <script>alert(1)</script>\n---\n# Not a heading\n```\nout of the fence"
HUB = {  # identifiers of the Hub's list that the plan's models and common ones have
    *(
        "apache-2.0",
        "mit",
        "llama2",
        "llama3",
        "llama3.1",
        "llama3.2",
        "llama3.3",
        "gemma",
        "cc-by-4.0",
        "cc-by-sa-4.0",
    ),
    *("cc-by-nc-4.0", "cc-by-nc-sa-4.0", "openrail", "bigscience-openrail-m", "gpl-3.0", "cc0-1.0", "bsd-3-clause"),
}


def facts(**changes: Any) -> CardFacts:
    records = [Record(f"r{i}", f"Why is {i} odd?" if i else EVIL, "Because it is. " * 9) for i in range(6)]
    rules = FilterConfig()
    report = FilterReport.build(records, QualityFilter(rules).check(records), rules)
    answers = [Answer(r.id, m, f"{m} {r.id}", score=float(len(m))) for r in records for m in ("a", "bb")]
    pairs = [PreferencePair(f"p{r.id}", r.id, r.instruction, "bb", "a", "bb", "a", 2.0, 1.0) for r in records]
    counted = PairStatistics(PreferConfig())
    for record, pair in zip(records, pairs, strict=True):
        counted.add_answers([a for a in answers if a.record_id == record.id])
        counted.add_pair(pair)
    plain: dict[str, Any] = {
        "title": "Card: of a 'run' # 1",
        "sets": [
            DataSet("preference", "preference/pairs.parquet", 6, "pairs"),
            DataSet("filtered", "filtered/records.parquet", 6, EVIL),
        ],
        "models": [ModelFacts("generator", "gen", "a local folder", "abc123", "mit")],
        "seed": 17,
        "language": "en",
        "filter_report": json.loads(report.to_json()),
        "preference_report": PreferenceReport.from_statistics(counted).to_json(),
        "diversity": diversity(r.to_json() for r in records),
        "samples": [records[0].to_json()],
    }
    return CardFacts(**plain | changes)


def parts(card: str) -> tuple[dict[str, Any], str]:
    _, header, body = card.split("---\n", 2)
    return yaml.safe_load(header), body


def test_the_metadata_are_what_the_hub_takes() -> None:
    from huggingface_hub import DatasetCard, DatasetCardData

    card = data_card(facts())
    header, _ = parts(card)
    read = DatasetCard(card, ignore_metadata_errors=False)
    assert isinstance(read.data, DatasetCardData)
    assert read.data.license == "mit" and read.data.pretty_name == "Card: of a 'run' # 1"
    assert read.data.to_dict()["configs"] == header["configs"]
    assert header["size_categories"] == ["n<1K"] and header["language"] == ["en"]
    assert header["task_categories"] == ["text-generation"]
    sizes = {
        parts_of: metadata(facts(sets=[DataSet("a", "a.parquet", parts_of, "")])) for parts_of in (999, 1000, 10**8)
    }
    assert [found["size_categories"] for found in sizes.values()] == [["n<1K"], ["1K<n<10K"], ["10M<n<100M"]]
    assert "language" not in metadata(facts(language=""))


def test_the_words_of_the_metadata_are_in_the_lists_of_datasets() -> None:
    from importlib import resources

    lists = resources.files("datasets.utils.resources")
    known = {name: json.loads((lists / f"{name}.json").read_text()) for name in ("languages", "size_categories")}
    header = metadata(facts())
    assert set(header["language"]) <= set(known["languages"])
    assert set(header["size_categories"]) <= set(known["size_categories"])
    creators = json.loads((lists / "creators.json").read_text())
    assert set(header["language_creators"]) <= set(creators["language"])
    assert set(header["annotations_creators"]) <= set(creators["annotations"])


def test_no_text_breaks_out_of_the_card() -> None:
    _, body = parts(data_card(facts()))
    assert "\n# Not a heading" not in body.replace(f"````text\n{EVIL}", "")
    from markdown_it import MarkdownIt

    html = MarkdownIt("commonmark").enable("table").render(body)
    assert "<script>" not in html and "<h1>Not a heading</h1>" not in html


def test_the_card_says_what_is_known_and_what_is_not() -> None:
    body = parts(data_card(facts()))[1]
    assert "not searched for benchmark items" in body and "| near_duplicates |" in body
    assert "6 pairs" in body and "near_identical" in body.replace("\\", "")
    benchmarks = [{"name": "ifeval", "items": 541, "found": 2, "records": 3, "problem": ""}]
    checked = facts(filter_report=facts().filter_report | {"benchmarks": benchmarks})
    assert "| ifeval | 541 | 2 | 3 |" in data_card(checked)
    empty = facts(filter_report={}, preference_report={}, diversity=None, samples=())
    assert "There are none." in data_card(empty) and "were not filtered" in data_card(empty)


def test_every_number_of_the_diversity_is_right() -> None:
    rows = [
        Record("a", "Why is it so", "x y", domain="d").to_json(),
        Record("b", "why is it not", "z").to_json(),
    ]
    found = diversity(rows)
    assert found is not None
    assert (found.records, found.instruction_words, found.response_words, found.turns) == (2, 4.0, 1.5, 1.0)
    assert (found.distinct_1, found.distinct_2) == (5 / 8, 4 / 6)
    assert (found.openings, found.most_common_opening, found.most_common_share) == (1, "why is it", 1.0)
    assert found.domains == {"d": 1} and diversity([]) is None


# Licenses


@pytest.mark.parametrize(
    ("licenses", "names", "kind"),
    [
        (["apache-2.0", "mit"], ("apache-2.0", "mit"), "permissive"),
        (["mit", "llama3.1", "llama3.1"], ("llama3.1",), "use restrictions"),
        (["llama3.1", "llama3.2", "apache-2.0"], ("llama3.1", "llama3.2"), "use restrictions"),
        (["llama3.1", "qwen-research", "apache-2.0"], ("qwen-research",), "no commercial use"),
        (["gpl-3.0", "MIT "], ("gpl-3.0",), "share-alike"),
        (["cc-by-nc-sa-4.0", "gemma"], ("cc-by-nc-sa-4.0",), "no commercial use"),
        (["mit", None], ("unknown",), "unknown"),
        (["mit", "other"], ("unknown",), "unknown"),
        (["my-own"], ("unknown",), "unknown"),
        ([], ("unknown",), "unknown"),
    ],
)
def test_the_strictest_license_wins(licenses: list[str | None], names: tuple[str, ...], kind: str) -> None:
    found = strictest(licenses)
    assert (found.names, found.kind) == (names, kind)


@given(st.lists(st.sampled_from([*sorted(HUB), "qwen-research", "who-knows", None]), max_size=5), st.randoms())
def test_a_license_more_never_makes_it_laxer(licenses: list[str | None], rng: Any) -> None:
    some = strictest(licenses[:-1])
    rng.shuffle(licenses)
    every = strictest(licenses)
    if licenses:
        assert CLASSES.index(every.kind) >= (CLASSES.index(some.kind) if len(licenses) > 1 else 0)
    assert all(license_class(name) == CLASSES.index(every.kind) for name in every.names)
    assert (every.kind == "unknown") == (not licenses or None in licenses or "who-knows" in licenses)


def test_a_license_is_named_as_the_hub_names_it() -> None:
    assert all(license_class(name) < CLASSES.index("unknown") for name in HUB)
    assert strictest(["mit", "llama3.1"]).metadata() == {"license": "llama3.1"}
    assert strictest(["llama3.1", "llama3.2"]).metadata() == {"license": ["llama3.1", "llama3.2"]}
    assert strictest(["qwen-research"]).metadata() == {"license": "other", "license_name": "qwen-research"}
    assert strictest([None]).metadata() == {"license": "unknown"}
    assert all(card_license(name) == {"license": name} for name in HUB)
    assert card_license("Tongyi-Qianwen") == {"license": "other", "license_name": "tongyi-qianwen"}
    assert card_license("My own license, 2.0!") == {"license": "other", "license_name": "my-own-license-2.0"}
    assert card_license("비공개") == {"license": "other"} and card_license(None) == {}


def test_what_is_unknown_is_said_and_obligations_are_named() -> None:
    models = [
        ModelFacts("generator", "gen", "hub", "1", "llama3.1"),
        ModelFacts("responder", "odd-one", "hub", "2", None),
    ]
    card = data_card(facts(models=models))
    assert "license: unknown" in card and "**Unknown.** The license of odd-one is not known" in card
    known = data_card(facts(models=models[:1]))
    assert "Built with Llama" in known and "Unknown" not in known


# Models


def test_an_embedded_model_has_the_package_s_license() -> None:
    found = model_facts("generator", ModelConfig(path="nano:generator"))
    assert (found.license, found.source) == ("apache-2.0", "inside the package") and "0.1.0" in found.revision
    assert model_facts("generator", ModelConfig(path="nano:generator", license="mit")).license == "mit"


@pytest.mark.parametrize(
    ("card", "license"),
    [
        ("---\nlicense: apache-2.0\n---\n# A model", "apache-2.0"),
        ("---\nlicense: other\nlicense_name: qwen-research\n---\n", "qwen-research"),
        ("---\nlicense: other\n---\n", None),
        ("---\nlicense: [mit, gemma]\n---\n", None),
        ("# No metadata", None),
        ("---\n: : :\n---\n", None),
        (None, None),
    ],
)
def test_a_local_model_s_license_is_what_its_card_says(tmp_path: Path, card: str | None, license: str | None) -> None:
    folder = tmp_path / "secret-place" / "my-model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    if card is not None:
        (folder / "README.md").write_text(card)
    found = model_facts("responder", ModelConfig(path=str(folder)))
    assert found.license == license and len(found.revision) == 16
    assert "secret-place" not in data_card(facts(models=[found]))


def test_a_model_of_the_hub_shows_its_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    snapshot = tmp_path / "models--o--m" / "snapshots" / ("c" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (snapshot / "README.md").write_text("---\nlicense: gemma\n---\n")

    def cached(repo: str, name: str, revision: str | None = None) -> str:
        assert repo == "o/m"
        return str(snapshot / name)

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", cached)
    found = model_facts("generator", ModelConfig(path="o/m"))
    assert (found.revision, found.license, found.source) == ("c" * 40, "gemma", "Hugging Face Hub")
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *a, **k: None)
    assert replace(model_facts("g", ModelConfig(path="o/m", revision="v2")), role="") == ModelFacts(
        "", "o/m", "Hugging Face Hub", "v2", None
    )


@pytest.mark.parametrize("profile", ["a100", "cpu", "h200", "l4", "t4"])
def test_the_plan_s_models_all_have_a_known_license(profile: str) -> None:
    models = load_config(profile).models
    everything = [models.generator, *models.responders, models.reward, *models.students]
    assert all(m.license and strictest([m.license]).kind != "unknown" for m in everything)
    assert load_config(profile, overrides=["models.generator.path=other/model"]).models.generator.license is None


def test_the_card_names_the_models_that_were_used() -> None:
    roles = [role for role, _ in data_models(load_config())]
    assert roles == ["generator", *["responder"] * 3, "reward model"]
    changes = ["prefer.on_policy=sft", "prefer.samples=2", "prefer.scorer=judge", "models.judge=nano:generator"]
    roles = [role for role, _ in data_models(load_config(overrides=changes))]
    assert roles == ["generator", *["student"] * 3, "judge"]
    changes += ["filter.min_reward=0", "filter.tags.model=nano:responder-qwen2"]
    found = data_models(load_config(overrides=changes))
    assert [role for role, _ in found] == ["generator", "tagging model", *["student"] * 3, "judge", "reward model"]
    assert found[1][1].path == "nano:responder-qwen2" and found[-1][1].path == "nano:reward"


def test_the_rules_behind_the_hash_are_in_the_card() -> None:
    quality = QualityFilter(FilterConfig())
    report = dict(facts().filter_report) | {"rules_hash": quality.rule_set_hash, "rules": quality.rule_set}
    card = data_card(facts(filter_report=report))
    table = card.partition("version and settings")[2].replace("\\", "")
    rows = dict(re.findall(r"^\| (\w+) \| (\{.*\}) \|$", table, re.MULTILINE))
    shown = {name: json.loads(text) for name, text in rows.items()}
    assert shown == json.loads(json.dumps(quality.rule_set)) and quality.rule_set_hash in card
