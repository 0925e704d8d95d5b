"""Layers, profiles and every way in which a configuration can be wrong."""

from __future__ import annotations

import ast
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as sizes
from hypothesis import strategies as st
from pydantic import BaseModel

import synthetic_instruction_tuner
from synthetic_instruction_tuner.config import (
    BENCHMARKS,
    Config,
    DomainConfig,
    ModelConfig,
    fingerprint,
    load_config,
    parse_config,
    profile_names,
)
from synthetic_instruction_tuner.config.messages import valid_keys
from synthetic_instruction_tuner.config.sections.section import Section
from synthetic_instruction_tuner.errors import UserError

PROFILES = ("a100", "cpu", "h200", "l4", "nano", "t4")
GPU_PROFILES = ("a100", "h200", "l4", "t4")
SOURCE = Path(synthetic_instruction_tuner.__file__).parent


def refused(*overrides: str, file: Path | None = None, profile: str | None = None) -> UserError:
    with pytest.raises(UserError) as caught:
        load_config(profile, file, overrides)
    lines = caught.value.lines()
    assert len(lines) == 3, lines
    assert all("\n" not in line for line in lines)
    return caught.value


def written(tmp_path: Path, text: str | bytes) -> Path:
    file = tmp_path / "my.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


# Profiles


def test_the_profiles_are_the_documented_ones() -> None:
    assert tuple(profile_names()) == PROFILES


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_has_the_plan_s_values(profile: str) -> None:
    config = load_config(profile)
    lora = config.train.sft.lora
    assert (lora.r, lora.lora_alpha, lora.lora_dropout) == (8, 16, 0.05)
    modules = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert set(lora.target_modules) == modules and len(lora.target_modules) == 7
    assert config.train.prompt_tuning.num_virtual_tokens == 20
    assert config.train.dpo.beta == 0.1
    assert (config.filter.min_words, config.filter.max_words, config.filter.near_duplicate_threshold) == (20, 500, 0.8)
    counts = (config.generate.count, config.filter.keep, config.prefer.pairs)
    assert counts == ((300, 1000, 120) if profile == "cpu" else (1500, 1000, 600))  # a CPU's night is short
    assert len(config.models.responders) == len(config.models.students) == 3


@pytest.mark.parametrize("profile", GPU_PROFILES)
def test_the_real_profiles_have_the_plan_s_models_and_rates(profile: str) -> None:
    config = load_config(profile)
    assert config.models.generator.path == "meta-llama/Llama-3.1-8B-Instruct"
    assert config.models.reward.name == "reward-model-deberta-v3-large-v2"
    assert [m.name for m in config.models.students] == ["Llama-3.2-3B", "Mistral-7B-v0.3", "Qwen2.5-3B"]
    rates = [config.train.sft.learning_rate, config.train.prompt_tuning.learning_rate, config.train.dpo.learning_rate]
    assert rates == [2e-4, 1e-3, 5e-5]
    assert (
        config.train.sft.num_train_epochs,
        config.train.prompt_tuning.num_train_epochs,
        config.train.dpo.num_train_epochs,
    ) == (3, 3, 1)


@pytest.mark.parametrize(
    ("profile", "records", "pairs"),
    [("t4", (4, 4), (2, 8)), ("l4", (4, 4), (2, 8)), ("a100", (12, 2), (8, 2)), ("h200", (12, 2), (8, 2))],
)
def test_the_plan_s_batches(profile: str, records: tuple[int, int], pairs: tuple[int, int]) -> None:
    train = load_config(profile).train
    found = [(t.per_device_train_batch_size, t.gradient_accumulation_steps) for t in (train.sft, train.prompt_tuning)]
    assert found == [records, records]
    assert (train.dpo.per_device_train_batch_size, train.dpo.gradient_accumulation_steps) == pairs
    assert max(t.save_steps for t in (train.sft, train.prompt_tuning, train.dpo)) <= 25


def test_profile_auto_is_what_the_caller_says(tmp_path: Path) -> None:
    assert load_config("auto", auto=lambda: "l4") == load_config("l4")
    assert load_config(file=written(tmp_path, "profile: auto\n"), auto=lambda: "t4").profile == "t4"
    assert load_config("nano", auto=lambda: "t4").profile == "nano"


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("limit", (None, 7))
def test_config_json_gives_the_same_configuration(profile: str, limit: int | None, tmp_path: Path) -> None:
    config = load_config(profile, limit=limit)
    assert parse_config(json.loads(config.as_json())) == config
    assert load_config(file=written(tmp_path, config.as_json())) == config  # JSON is YAML
    assert fingerprint(parse_config(json.loads(config.as_json()))) == fingerprint(config)


# Layers


def test_file_over_profile_and_set_over_file(tmp_path: Path) -> None:
    file = written(tmp_path, "filter: {min_words: 5, max_words: 50}\ntrain: {sft: {lora: {r: 4}}}\n")
    config = load_config("nano", file, ["filter.max_words=60"])
    assert (config.filter.min_words, config.filter.max_words, config.filter.near_duplicate_threshold) == (5, 60, 0.8)
    assert (config.train.sft.lora.r, config.train.sft.lora.lora_alpha, config.train.sft.learning_rate) == (
        4,
        16,
        load_config().train.sft.learning_rate,
    )


def test_the_file_may_name_its_profile(tmp_path: Path) -> None:
    assert load_config(file=written(tmp_path, "profile: t4\n")).profile == "t4"


def test_sections_without_lines_change_nothing(tmp_path: Path) -> None:
    assert load_config(file=written(tmp_path, "train:\n  sft:\n    # num_train_epochs: 1\n")) == load_config()
    assert load_config(file=written(tmp_path, "")) == load_config()


def test_a_byte_order_mark_is_no_part_of_a_key(tmp_path: Path) -> None:
    assert load_config(file=written(tmp_path, b"\xef\xbb\xbfseed: 3\n")).seed == 3


def test_models_can_be_plain_paths_or_sections() -> None:
    config = load_config(overrides=["models.students=[/a/one, {path: b/two, name: second}]"])
    assert [(m.path, m.name) for m in config.models.students] == [("/a/one", "one"), ("b/two", "second")]


def test_set_reaches_into_a_plain_model_entry() -> None:
    changed = ["models.students.0.path=/x", "models.generator.revision=main", "models.students.2.name=third"]
    models = load_config(overrides=changed).models
    assert [m.path for m in models.students] == ["/x", "nano:student-mistral", "nano:student-qwen2"]
    assert (models.students[0].name, models.students[2].name) == ("x", "third")
    assert (models.generator.path, models.generator.revision) == ("nano:generator", "main")


def test_set_replaces_a_whole_list_entry() -> None:
    assert load_config(overrides=["models.students.1=/y/z"]).models.students[1].path == "/y/z"


def test_another_model_does_not_inherit_the_number_of_weights(tmp_path: Path) -> None:
    assert load_config("t4", overrides=["models.generator.path=/x"]).models.generator.parameters is None
    file = written(tmp_path, "models: {generator: {path: /x}}")
    assert load_config("t4", file).models.generator.parameters is None
    file = written(tmp_path, "models: {generator: {revision: main}}")
    kept = load_config("t4", file).models.generator
    assert kept.parameters == 8.03e9 and kept.revision == "main"


def test_domains_are_made_by_set() -> None:
    config = load_config(overrides=["generate.domains.law.system=You are a lawyer.", "generate.domains.law.share=2"])
    assert config.generate.domains == {"law": DomainConfig(system="You are a lawyer.", share=2)}


@pytest.mark.parametrize("text", ("2e-4", "2.0e-4", "2E-4", ".0002", "+2e-4"))
def test_numbers_in_every_spelling(text: str, tmp_path: Path) -> None:
    assert load_config(overrides=[f"train.sft.learning_rate={text}"]).train.sft.learning_rate == 2e-4
    file = written(tmp_path, f"train:\n  sft:\n    learning_rate: {text}\n")
    assert load_config(file=file).train.sft.learning_rate == 2e-4


def test_values_of_set_are_yaml() -> None:
    config = load_config(
        overrides=["filter.keep=null", "report.title=a = b", "filter.refusal_phrases=['no', \"don't\"]"]
    )
    assert (config.filter.keep, config.report.title) == (None, "a = b")
    assert config.filter.refusal_phrases == ("no", "don't")


def test_a_model_can_be_taken_away_and_a_section_cannot() -> None:
    judge = "evaluate.mt_bench.judge.model"
    assert load_config(overrides=[f"{judge}.path=x/y"]).evaluate.mt_bench.judge.model is not None
    assert load_config(overrides=[f"{judge}.path=x/y", f"{judge}=null"]).evaluate.mt_bench.judge.model is None
    assert load_config("a100", overrides=[f"{judge}=null"]).evaluate.mt_bench.judge.model is None
    assert load_config(overrides=["filter=null"]).filter == load_config().filter
    with pytest.raises(UserError):
        load_config(overrides=["models.generator.path=x/y", "models.generator=null"])


# Limit


@pytest.mark.parametrize("profile", PROFILES)
def test_limit_cuts_every_count(profile: str) -> None:
    config = load_config(profile, limit=9)
    evaluate = config.evaluate
    counts = [config.generate.count, config.filter.keep, config.prefer.pairs]
    assert counts == [9, 9, 9]
    assert all(evaluate.settings(name).items <= 9 for name in BENCHMARKS)
    assert config.limit == 9


def test_limit_never_raises_a_count() -> None:
    config = load_config(overrides=["generate.count=3", "filter.keep=null", "limit=100"])
    assert (config.generate.count, config.filter.keep, config.prefer.pairs) == (3, 100, 100)


# What is wrong


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("fliter.min_words=3", "'filter'"),
        ("filter.min_wrods=3", "'filter.min_words'"),
        ("seeed=3", "'seed'"),
        ("min_words=3", "'filter.min_words'"),
        ("filter.learning_rate=3", "learning_rate'"),
        ("train.sft.lora.rr=4", "'train.sft.lora.r'"),
        ("train.learning_rate=1", "learning_rate'"),
        ("lora.r=1", "'train.sft.lora'"),
        ("models.genrator=/x", "'models.generator'"),
        ("models.generator.pth=/x", "'models.generator.path'"),
        ("models.students.0.revison=x", "'models.students.0.revision'"),
        ("models.responders.2.nam=x", "'models.responders.2.name'"),
        ("models.students.0.zzzz=x", "path, name, revision"),
        ("generate.domains.law={sytem: hello, system: x}", "'generate.domains.law.system'"),
        ("generate.domains.system={system: a, shar: 1}", "'generate.domains.system.share'"),
        ("zzzzzz=1", "profile, description, seed"),
    ],
)
def test_an_unknown_key_names_the_nearest_one(override: str, hint: str) -> None:
    error = refused(override)
    assert error.problem.startswith("There is no setting")
    assert hint in error.fix, error.fix


@sizes(deadline=None)
@given(st.sampled_from(valid_keys(Config)), st.data())
def test_a_slip_of_the_finger_is_found(key: str, data: st.DataObject) -> None:
    """Two neighboring letters swapped in a key of some length: the message names a key of the same section."""
    parent, _, name = key.rpartition(".")
    if len(name) < 5:
        return
    at = data.draw(st.integers(0, len(name) - 2))
    slip = name[:at] + name[at + 1] + name[at] + name[at + 2 :]
    if slip == name:
        return
    error = refused(f"{parent + '.' if parent else ''}{slip}=1")
    assert f"'{key}'" in error.fix


@pytest.mark.parametrize(
    ("former", "now"),
    [
        ("ifeval_items", "evaluate.nano_ifeval.items"),
        ("mmlu_items", "evaluate.nano_mmlu.items"),
        ("mt_items", "evaluate.nano_mt.items"),
        ("mt_temperature", "evaluate.nano_mt.temperature"),
        ("max_new_tokens", "evaluate.nano_mt.max_new_tokens"),
    ],
)
def test_settings_that_moved_to_a_benchmark_are_found(former: str, now: str) -> None:
    fix = refused(f"evaluate.{former}=5").fix
    assert f"'{now}'" in fix and "Did you mean" in fix
    load_config(overrides=[f"{now}=5"])


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("filter.min_words=abc", ("filter.min_words", "'abc'", "Minimum length")),
        ("train.sft.lr_scheduler_type=constant", ("'constant'", "Did you mean 'constant_with_warmup'?")),
        ("filter.min_words=2.5", ("filter.min_words", "2.5")),
        ("filter.min_words=-1", ("filter.min_words", "-1")),
        ("filter.near_duplicate_threshold=1.5", ("filter.near_duplicate_threshold", "1.5")),
        ("filter.near_duplicate_threshold=0", ("filter.near_duplicate_threshold", "0")),
        ("filter.min_words=600", ("filter", "min_words (600) is larger than max_words (500)")),
        ("filter={min_words: 600, max_words: 30}", ("larger",)),
        ("filter=[]", ("filter", "[]")),
        ("seed=null", ("seed", "None")),
        ("engine.device=gpu", ("engine.device", "'gpu'", "cuda")),
        ("engine.batch_size=0", ("engine.batch_size", "0")),
        ("train.sft.learning_rate=0", ("train.sft.learning_rate",)),
        ("train.sft.learning_rate=.nan", ("train.sft.learning_rate", "nan")),
        ("train.sft.learning_rate=fast", ("train.sft.learning_rate", "'fast'", "Peak")),
        ("train.dpo.lr_scheduler_type=exp", ("train.dpo.lr_scheduler_type", "linear")),
        ("train.sft.lora.target_modules=q_proj", ("train.sft.lora.target_modules", "q_proj")),
        ("evaluate.benchmarks=[nano_mt, nano_mt]", ("evaluate.benchmarks", "twice")),
        ("evaluate.benchmarks=[mmmlu]", ("evaluate.benchmarks.0", "'mmmlu'")),
        ("evaluate.benchmarks=[]", ("evaluate.benchmarks",)),
        ("models.students=[]", ("models.students",)),
        ("models.students=a,b", ("models.students", "in brackets: [a, b]")),
        ("models.students=[a, a]", ("models", "distinct", "name a once")),
        ("models.students.0=" + "x" * 300, ("models.students.0", "bytes")),
        ("generate.domains=codign", ("generate.domains", "did you mean coding?")),
        ("generate.domains={codign: 2, mth: {share: 1}}", ("did you mean coding?", "did you mean math?")),
        ("models.students=[/a/x, /b/x]", ("models", "distinct", "x, x")),
        ("models.students.0={name: x}", ("models.students.0.path", "missing")),
        ("models.generator=7", ("models.generator",)),
        ("generate.domains.law.share=2", ("generate.domains.law.system", "missing")),
        ("limit=0", ("limit", "0")),
        ("limit=many", ("limit", "'many'")),
        ("report.title=123", ("report.title", "123", "--set 'report.title=\"123\"'")),
        ("report.title=[a, b]", ("report.title",)),
    ],
)
def test_a_wrong_value_is_named(override: str, parts: tuple[str, ...]) -> None:
    text = str(refused(override))
    for part in parts:
        assert part in text, text
    assert "pydantic" not in text


def test_quotes_make_text_of_a_number() -> None:
    assert load_config(overrides=['report.title="123"']).report.title == "123"


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("filter.min_words", "cannot be parsed"),
        ("=3", "cannot be parsed"),
        ("", "cannot be parsed"),
        ("models.students.3.path=/x", "list of 3"),
        ("models.students.x.path=/x", "no 'x'"),
        ("models.students.-1=/x", "no '-1'"),
        ("models.students.²=/x", "no '²'"),
        ("seed.a=1", "'seed.a'|seed"),
        ("train.sft.num_train_epochs.a.b=1", "train.sft.num_train_epochs has no keys below it"),
        ("description.a=1", "description has no keys below it"),
    ],
)
def test_a_set_that_cannot_be_followed(override: str, part: str) -> None:
    assert any(p in str(refused(override)) for p in part.split("|"))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("filter: {min_words: 3", "not valid YAML"),
        ("filter:\n\tmin_words: 3\n", "not valid YAML"),
        ("a: b: c", "not valid YAML"),
        (b"seed: \xff\xfe", "cannot be read"),
        (b"seed: \x00", "cannot be read"),
        ("seed: 2024-13-45", "The setting 'seed' has an invalid value"),
        ("[" * 1200, "not valid YAML"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
        ("- 1\n- 2\n", "must hold keys and values"),
        ("just text", "must hold keys and values"),
        ("5", "must hold keys and values"),
        ("1: 2\n", "There is no setting '1'"),
        ("profile: t5\n", "There is no profile 't5'"),
        ("profile: [nano]\n", "There is no profile"),
        ("filter: 3\n", "The setting 'filter' has an invalid value"),
        ("models: {students: 5}\n", "models.students"),
    ],
)
def test_a_broken_file_is_explained(text: str | bytes, part: str, tmp_path: Path) -> None:
    assert part in refused(file=written(tmp_path, text)).problem


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "cannot be read" in refused(file=tmp_path / "none.yaml").problem
    assert "cannot be read" in refused(file=tmp_path).problem


def test_an_unknown_profile_names_the_nearest() -> None:
    error = refused(profile="h20")
    assert "h200" in error.fix and "a100, cpu, h200, l4, nano, t4" in error.cause


@sizes(max_examples=60, deadline=None)
@given(st.text(max_size=40))
def test_no_text_after_set_ever_crashes(text: str) -> None:
    for override in (text, f"seed={text}", f"filter.{text}", f"report.title={text}", f"models.students.{text}=1"):
        try:
            load_config(overrides=[override])
        except UserError as error:
            assert error.exit_code == 2 and len(error.lines()) == 3


# Fingerprints


def test_a_fingerprint_is_the_same_everywhere() -> None:
    assert fingerprint("generate", 1, {"b": 2.5, "a": [True, None, "é"]}) == "8b7e56bebc96275f"
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint("a", "b") != fingerprint("ab") != fingerprint("b", "a")


def test_a_fingerprint_follows_every_setting() -> None:
    config = load_config()
    assert fingerprint(config) == fingerprint(load_config())
    changed = [load_config(overrides=[o]) for o in ("seed=18", "filter.min_words=21", "models.students.0.revision=x")]
    assert len({fingerprint(c) for c in [config, *changed]}) == 4
    assert fingerprint(config.filter, [config.models.generator]) == fingerprint(
        config.filter.model_dump(mode="json"), [config.models.generator.model_dump(mode="json")]
    )


def test_text_that_is_no_unicode_has_a_fingerprint_and_survives() -> None:
    """What the shell hands over undecoded arrives as lone surrogates."""
    config = load_config(overrides=["report.title=caf\udce9"])
    assert len(fingerprint(config)) == 16
    text = config.as_json().encode("utf-8", "backslashreplace").decode()
    assert parse_config(json.loads(text)) == config


# Every field


def sections(base: type[Section] = Section) -> list[type[BaseModel]]:
    return [kind for own in base.__subclasses__() for kind in (own, *sections(own))]


def test_every_field_is_documented() -> None:
    fields = [(kind.__name__, name, field) for kind in sections() for name, field in kind.model_fields.items()]
    assert len(fields) > 60
    assert [f"{kind}.{name}" for kind, name, field in fields if not field.description] == []


def test_every_field_is_read_by_something() -> None:
    read = {"limit_items"}  # its own section gives it to every benchmark
    for file in SOURCE.rglob("*.py"):
        if file.parent.name == "sections":
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        read |= {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load)}
    fields = {f"{kind.__name__}.{name}" for kind in sections() for name in kind.model_fields if name not in BENCHMARKS}
    assert sorted(f for f in fields if f.rpartition(".")[2] not in read) == []


def test_every_default_can_be_written_out() -> None:
    refused = []
    for kind in set(sections()) - {Config, type(load_config().models)}:  # which need models
        needed = {name: "x" for name, field in kind.model_fields.items() if field.is_required()}
        for name, field in kind.model_fields.items():
            default = field.get_default(call_default_factory=True)
            if not field.is_required() and not isinstance(default, BaseModel):
                try:
                    kind(**needed | {name: default})
                except ValueError as error:
                    refused.append(f"{kind.__name__}.{name}: {error}")
    assert refused == []


@pytest.mark.parametrize("value", ["maybe", "", 1, None])
def test_a_switch_with_a_word_names_all_that_it_may_be(value: object) -> None:
    with pytest.raises(ValueError, match="it must be auto, true or false"):
        ModelConfig(path="x", load_in_4bit=value)  # type: ignore[arg-type]


def test_settings_cannot_be_changed_in_place() -> None:
    config: Any = load_config()
    with pytest.raises(ValueError):
        config.seed = 3
    assert not math.isnan(config.train.sft.learning_rate)


def test_one_student_needs_no_brackets() -> None:
    for text in ("nano:student-llama", "{path: nano:student-llama}"):
        models = load_config(
            overrides=[f"models.students={text}", "models.responders=nano:generator", "prefer.samples=2"]
        ).models
        assert [m.path for m in models.students] == ["nano:student-llama"]
        assert [m.path for m in models.responders] == ["nano:generator"]


@pytest.mark.parametrize("value", ["0", "-1", "100001", "1.5", "true", "'5'", "many", "null", "[1]"])
def test_texts_at_once_are_auto_or_a_number(value: str) -> None:
    with pytest.raises(UserError) as caught:
        load_config(overrides=[f"engine.batch_size={value}"])
    assert "engine.batch_size" in caught.value.problem and "auto, or a whole number" in caught.value.cause
    assert load_config("t4").engine.batch_size == "auto"
    assert load_config("nano").engine.batch_size == 128 and load_config("cpu").engine.batch_size == 32
    assert load_config(overrides=["engine.batch_size=7"]).engine.batch_size == 7
