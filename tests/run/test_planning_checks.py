"""Estimates behave as costs do, and what is missing is found before any work."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from synthetic_instruction_tuner.config import Config, ModelConfig, load_config, profile_names
from synthetic_instruction_tuner.config.sections.evaluate import MmluConfig
from synthetic_instruction_tuner.errors import SitError, UserError
from synthetic_instruction_tuner.evaluation import benchmark_lm
from synthetic_instruction_tuner.evaluation.benchmarks.base import benchmark
from synthetic_instruction_tuner.evaluation.benchmarks.mmlu.benchmark import CHUNK
from synthetic_instruction_tuner.methods import VARIANTS
from synthetic_instruction_tuner.models.files import identity, local_folder, shape
from synthetic_instruction_tuner.models.hardware import Hardware
from synthetic_instruction_tuner.run.checks import before_start
from synthetic_instruction_tuner.run.checks.before_start import check_before_start, check_disk, needed_gb
from synthetic_instruction_tuner.run.checks.model_checks import check_models, models_until
from synthetic_instruction_tuner.run.costs.counts import benchmark_work
from synthetic_instruction_tuner.run.costs.plan_tables import downloads_gb, models_table
from synthetic_instruction_tuner.run.folder import RunFolder
from synthetic_instruction_tuner.run.pipeline import stage_names
from synthetic_instruction_tuner.run.planning import StageEstimate, does_not_fit, estimate

KNOWN = ("generate", "filter", "prefer", "sft", "prompt_tuning", "dpo", "evaluate", "report")  # others may be added
CPU = Hardware("cpu", "x86_64", 2, 16.0, None, None, "2.6", "5.10")
T4 = replace(CPU, device="cuda", device_name="Tesla T4", gpu_memory_gb=15.0, capability=(7, 5))
A100 = replace(CPU, device="cuda", device_name="NVIDIA A100-SXM4-80GB", gpu_memory_gb=80.0, capability=(8, 0))
H200 = replace(CPU, device="cuda", device_name="NVIDIA H200", gpu_memory_gb=141.0, capability=(9, 0))


def by_stage(config: Config, hardware: Hardware = CPU) -> dict[str, StageEstimate]:
    return {e.stage: e for e in estimate(config, hardware)}


def total(config: Config, hardware: Hardware) -> float:
    return sum(e.seconds for e in estimate(config, hardware))


# Estimates


@pytest.mark.parametrize("profile", profile_names())
@pytest.mark.parametrize("hardware", (CPU, T4, A100, H200), ids=lambda h: h.device_name)
@pytest.mark.parametrize("limit", (None, 1))
def test_every_stage_has_a_finite_positive_estimate(profile: str, hardware: Hardware, limit: int | None) -> None:
    estimates = estimate(load_config(profile, limit=limit), hardware)
    assert [e.stage for e in estimates] == stage_names()
    for e in estimates:
        assert 0 < e.seconds < math.inf and 0 < e.memory_gb < math.inf
        assert e.detail and "\n" not in e.detail


@pytest.mark.parametrize("profile", profile_names())
def test_faster_machines_take_less(profile: str) -> None:
    config = load_config(profile)
    assert total(config, T4) > total(config, A100) > total(config, H200)
    assert total(config, CPU) > total(config, replace(CPU, cores=8))


def test_more_work_takes_longer() -> None:
    for change in (
        "generate.count=3000",
        "prefer.pairs=1000",
        "train.sft.num_train_epochs=6",
        "evaluate.nano_mmlu.items=2000",
        "train.prompt_tuning.students=all",
        "generate.response.max_new_tokens=1000",
    ):
        assert total(load_config(overrides=[change]), CPU) > total(load_config(), CPU), change
    assert total(load_config(limit=10), CPU) < total(load_config(), CPU) / 2


def test_public_benchmarks_count_what_a_base_model_and_examples_add() -> None:
    names, few = ("ifeval", "mmlu", "mt_bench"), ["prefer.on_policy=off", "train.prompt_tuning.students=none"]
    config = load_config(overrides=[*few, f"evaluate.benchmarks=[{','.join(names)}]"])
    parts = next(e for e in estimate(config, CPU) if e.stage == "evaluate").parts
    found = {part.label: part.seconds for part in parts}
    student = config.models.students[0].name
    seconds = {(v, n): found[f"{student}-{v} {n}"] for v in ("base", "sft") for n in names}
    opening = seconds["sft", "mmlu"] - seconds["base", "mmlu"]
    assert opening == pytest.approx(0)  # both ask MMLU alike
    first = {v: seconds[v, "ifeval"] for v in ("base", "sft")}
    assert first["base"] > 1.5 * first["sft"]  # a base model is asked in two forms
    assert seconds["base", "mt_bench"] == pytest.approx(seconds["sft", "mt_bench"])


def test_solved_examples_take_time_above_all_with_few_questions() -> None:
    def tokens(**settings: int) -> tuple[int, int]:
        work = benchmark("mmlu").work(MmluConfig(**settings))
        return work.shared_tokens, work.items * work.scored_tokens

    assert tokens(shots=0)[0] == 0
    whole, few = tokens(), tokens(items=200)
    assert 0 < whole[0] < whole[1] / 10 and few[0] / few[1] > 3 * whole[0] / whole[1]
    assert tokens(shots=5)[0] > tokens(shots=1)[0]
    assert CHUNK == benchmark_lm.CHUNK  # questions that are asked behind one reading of the examples


def test_only_the_items_that_are_here_are_planned(tmp_path: Path) -> None:
    def planned() -> int:
        changes = ["evaluate.benchmarks=[mmlu]", f"evaluate.data_dir={tmp_path}"]
        return benchmark_work("mmlu", load_config(overrides=changes).evaluate).items

    assert planned() == 14_042  # they are fetched before the run
    for part, rows in (("test", 3), ("dev", 5)):
        (tmp_path / "mmlu" / part).mkdir(parents=True)
        lines = ["question,choice0,choice1,choice2,choice3,answer", *(f"q{n}{part},a,b,c,d,1" for n in range(rows))]
        (tmp_path / "mmlu" / part / f"anatomy_{part}.csv").write_text("\n".join(lines) + "\n")
    assert planned() == 3
    (tmp_path / "mmlu/test/anatomy_test.csv").write_text("x,y\n1,2\n")
    assert planned() == 14_042  # what is damaged is for the checks to say


def test_a_model_on_a_server_is_not_downloaded() -> None:
    judge = "evaluate.mt_bench.judge.model"
    changes = ["evaluate.benchmarks=[mt_bench]", f"{judge}.path=a/judge", f"{judge}.url=http://127.0.0.1:9/v1"]
    config = load_config(overrides=changes)
    (line,) = (line for line in models_table(config).markdown().splitlines() if "a/judge" in line)
    assert "server" in line and "Hub" not in line and line.count("unknown") == 1
    assert downloads_gb(config) == 0
    assert "Hub" in models_table(load_config(overrides=changes[:2])).markdown()


def test_more_answers_and_a_judge_take_longer_to_prefer() -> None:
    def seconds(*changes: str) -> float:
        return by_stage(load_config("h200", overrides=changes), H200)["prefer"].seconds

    judged = ("prefer.scorer=judge", "models.judge=meta-llama/Llama-3.1-8B-Instruct")
    assert seconds("prefer.samples=4") > 2.5 * seconds()  # steps of more rows are cheaper for each
    assert seconds("prefer.min_margin=0.5") > seconds()  # close pairs are refused: more records are answered
    assert seconds(*judged) > seconds(*judged, "prefer.judge.mode=pointwise") > seconds()
    own = by_stage(load_config("h200", overrides=["prefer.on_policy=sft", "prefer.samples=2"]), H200)["prefer"]
    assert "6 answers" in own.detail and "1,800 pairs" in own.detail


def test_larger_batches_take_memory_and_save_time() -> None:
    small, large = load_config("h200", overrides=["engine.batch_size=16"]), load_config("h200")
    assert by_stage(small, H200)["generate"].memory_gb < by_stage(large, H200)["generate"].memory_gb
    assert by_stage(small, H200)["generate"].seconds > by_stage(large, H200)["generate"].seconds


def test_prompt_tuning_of_no_student_costs_next_to_nothing() -> None:
    none = by_stage(load_config(overrides=["train.prompt_tuning.students=none"]))
    assert none["prompt_tuning"].seconds == 0 and "no student" in none["prompt_tuning"].detail
    variants = 3 * len(VARIANTS) - 2  # of three students, of which one is prompt-tuned
    assert none["evaluate"].detail.startswith(f"{variants - 1} variants")
    assert by_stage(load_config())["evaluate"].detail.startswith(f"{variants} variants")


def test_a_model_nobody_knows_counts_as_a_large_one() -> None:
    known = by_stage(load_config("h200"), H200)["generate"]
    unknown = by_stage(load_config("h200", overrides=["models.generator.path=some/where"]), H200)["generate"]
    assert 0.5 < unknown.seconds / known.seconds < 2
    assert unknown.memory_gb > 14


def test_the_nano_plan_is_minutes_and_little_memory() -> None:
    assert 60 < total(load_config(), CPU) < 1800
    assert max(e.memory_gb for e in estimate(load_config(), CPU)) < 4


@pytest.mark.parametrize(
    ("profile", "hardware", "stages"),
    [
        ("nano", CPU, ()),
        ("t4", T4, ()),
        ("l4", replace(A100, device_name="NVIDIA L4", gpu_memory_gb=23.6), ()),
        ("a100", A100, ()),
        ("a100", replace(A100, gpu_memory_gb=42.3), ()),
        ("a100", replace(A100, gpu_memory_gb=20.0), ()),  # as many texts as fit
        ("h200", H200, ()),
        ("h200", A100, ()),
        ("h200", replace(A100, gpu_memory_gb=42.3), ("sft",)),
    ],
)
def test_what_does_not_fit_is_told(profile: str, hardware: Hardware, stages: tuple[str, ...]) -> None:
    config = load_config(profile)
    told = does_not_fit(estimate(config, hardware), hardware)
    assert (told is None) == (not stages)
    if told:
        assert [name for name in KNOWN if f" {name} (about " in told] == list(stages)
        assert f"{hardware.memory_for_models_gb:.1f} GB of memory here" in told
    roomy = replace(hardware, gpu_memory_gb=1e4, memory_gb=1e4)
    assert does_not_fit(estimate(config, roomy), roomy) is None
    tight = replace(hardware, gpu_memory_gb=None, memory_gb=0.1)
    assert does_not_fit(estimate(config, tight), tight)


@pytest.mark.parametrize("stage", ("sft", "prompt_tuning", "dpo"))
def test_gradient_checkpointing_needs_less_memory_and_more_time(stage: str) -> None:
    plain = by_stage(load_config("a100", overrides=[f"train.{stage}.gradient_checkpointing=false"]), A100)[stage]
    again = by_stage(load_config("a100"), A100)[stage]
    assert again.memory_gb < 0.8 * plain.memory_gb and again.seconds > plain.seconds


# Model files


def test_embedded_models_have_their_true_sizes() -> None:
    for _, model in models_until(load_config()):
        found, folder = shape(model), local_folder(model)
        assert found and folder and folder.is_dir()
        config = json.loads((folder / "config.json").read_text())
        assert (found.layers, found.hidden) == (config["num_hidden_layers"], config["hidden_size"])
        stored = sum(f.stat().st_size for f in folder.glob("*.safetensors"))
        assert stored / 4.2 < found.parameters < stored / 1.9  # two or four bytes each


def test_a_guess_from_the_number_of_weights_is_near() -> None:
    found = shape(ModelConfig(path="meta-llama/Llama-3.1-8B-of-mine", parameters=8.03e9))
    assert found and found.parameters == 8.03e9 and found.origin == "guess"
    assert 24 <= found.layers <= 40 and 3000 < found.hidden < 5000
    assert shape(ModelConfig(path="who/knows")) is None


# What the repositories on the Hub state as the number of their weights.
@pytest.mark.parametrize(
    ("path", "weights"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", 8_030_261_248),
        ("meta-llama/Llama-3.2-1B-Instruct", 1_235_814_400),
        ("meta-llama/Llama-3.2-3B", 3_212_749_824),
        ("mistralai/Mistral-7B-v0.3", 7_248_023_552),
        ("Qwen/Qwen2.5-3B", 3_085_938_688),
        ("Qwen/Qwen2.5-0.5B-Instruct", 494_032_768),
        ("HuggingFaceTB/SmolLM2-135M", 134_515_008),
        ("HuggingFaceTB/SmolLM2-360M-Instruct", 361_821_120),
    ],
)
def test_the_profiles_models_have_their_true_sizes_without_their_files(path: str, weights: int) -> None:
    found = shape(ModelConfig(path=path))
    assert found and found.parameters == weights and found.origin == "known"
    assert 0 < found.unquantized < found.parameters / 2 and found.inner > found.hidden


@pytest.mark.parametrize("profile", profile_names())
def test_no_model_of_a_profile_is_guessed(profile: str) -> None:
    for _, model in models_until(load_config(profile)):
        assert (found := shape(model)) and found.origin != "guess"
        if model.parameters:
            assert found.parameters == pytest.approx(model.parameters, rel=0.01)


def model_folder(folder: Path, config: str, weights: bytes) -> ModelConfig:
    folder.mkdir()
    (folder / "config.json").write_text(config)
    (folder / "model.safetensors").write_bytes(weights)
    return ModelConfig(path=str(folder))


GOOD = '{"num_hidden_layers": 2, "hidden_size": 8, "num_attention_heads": 2, "vocab_size": 10}'
HEADER = b'{"__metadata__": {"format": "pt"}, "w": {"dtype": "F32", "shape": [3, 5], "data_offsets": [0, 60]}}'
WEIGHTS = struct.pack("<Q", len(HEADER)) + HEADER + bytes(60)


@pytest.mark.parametrize(
    ("config", "weights"),
    [
        ("", WEIGHTS),
        ("{", WEIGHTS),
        ("[]", WEIGHTS),
        ("{}", WEIGHTS),
        (GOOD.replace("8", '"wide"'), WEIGHTS),
        (GOOD.replace("8", "null"), WEIGHTS),
        (GOOD, b""),
        (GOOD, b"abc"),
        (GOOD, b"\xff" * 100),
        (GOOD, struct.pack("<Q", 1 << 60) + HEADER),
        (GOOD, WEIGHTS[:40]),
        (GOOD, struct.pack("<Q", 2) + b"[]"),
    ],
)
def test_broken_model_files_do_not_break_a_plan(config: str, weights: bytes, tmp_path: Path) -> None:
    model = model_folder(tmp_path / "m", config, weights)
    assert shape(model) is None
    assert identity(model)["content"]
    assert total(load_config(overrides=[f"models.students.0.path={model.path}"]), CPU) > 0


def test_a_whole_model_folder(tmp_path: Path) -> None:
    found = shape(model_folder(tmp_path / "m", GOOD, WEIGHTS))
    assert found and (found.parameters, found.layers, found.hidden, found.kv_width) == (15, 2, 8, 16)
    inside = shape(model_folder(tmp_path / "vision", f'{{"text_config": {GOOD}}}', WEIGHTS))
    assert inside == found


def test_identity_follows_the_weights(tmp_path: Path) -> None:
    one = model_folder(tmp_path / "one", GOOD, WEIGHTS)
    two = model_folder(tmp_path / "two", GOOD, WEIGHTS[:-1] + b"x")
    assert identity(one)["content"] != identity(two)["content"]
    assert identity(one) == identity(ModelConfig(path=one.path))
    assert identity(ModelConfig(path="a/b", revision="c")) == {
        "path": "a/b",
        "revision": "c",
        "name": "b",
        "chat_template": None,
        "content": None,
    }


@pytest.mark.parametrize(
    ("path", "local"),
    [("/a/b", True), ("./b", True), ("../b", True), ("~/b", True), ("nano:none", True), ("org/name", False)],
)
def test_what_counts_as_local(path: str, local: bool) -> None:
    assert (local_folder(ModelConfig(path=path)) is not None) is local


# Checks


def test_stages_need_only_their_own_models() -> None:
    roles = {stage: {role for role, _ in models_until(load_config(), stage)} for stage in [*stage_names(), None]}
    everything = {"generator", "responder", "reward model", "student"}
    assert roles["generate"] == roles["filter"] == {"generator"}
    assert roles["prefer"] == {"generator", "responder", "reward model"}
    assert all(roles[stage] == everything for stage in ("sft", "prompt_tuning", "dpo", "evaluate", "report", None))


def test_on_policy_and_a_judge_need_other_models() -> None:
    def roles(until: str, *changes: str) -> set[str]:
        return {role for role, _ in models_until(load_config(overrides=changes), until)}

    judged = ("prefer.scorer=judge", "models.judge=nano:generator")
    assert roles("prefer", *judged) == {"generator", "responder", "judge"}
    assert roles("evaluate", *judged) == {"generator", "responder", "judge", "reward model", "student"}
    base, sft = ("prefer.samples=2", "prefer.on_policy=base"), ("prefer.samples=2", "prefer.on_policy=sft")
    assert roles("prefer", *base) == roles("prefer", *sft) == {"generator", "reward model", "student"}
    assert roles("sft", *sft) == {"generator", "student"}
    assert roles("sft", *base) == roles("prompt_tuning", *sft) == {"generator", "reward model", "student"}
    assert roles("dpo", *judged) == {"generator", "responder", "judge", "student"}


def test_the_embedded_models_are_all_there(tmp_path: Path) -> None:
    found = check_models(load_config())
    assert len(found) == 8
    assert [c for c in found if not c.ok] == []
    check_before_start(load_config(), RunFolder(tmp_path / "runs" / "x"), CPU)
    assert list(tmp_path.iterdir()) == []


def test_everything_that_is_missing_is_counted(tmp_path: Path) -> None:
    config = load_config(overrides=["models.generator=nano:none", f"models.students.0={tmp_path}", "models.reward=a/b"])
    bad = [c for c in check_models(config) if not c.ok]
    assert [c.name.split()[0] for c in bad] == ["generator", "student", "reward"]
    assert all(c.found and c.fix for c in bad)
    with pytest.raises(UserError, match=r"(?s)3 things.*generator none.*student.*reward") as caught:
        check_before_start(config, RunFolder(tmp_path), CPU)
    assert [line.strip()[:4] for line in caught.value.lines()[2::2]] == ["fix:"] * 3


def test_models_of_later_stages_may_be_missing(tmp_path: Path) -> None:
    config = load_config(overrides=["models.reward=nano:none"])
    check_before_start(config, RunFolder(tmp_path), CPU, until="filter")
    with pytest.raises(UserError, match="reward model"):
        check_before_start(config, RunFolder(tmp_path), CPU, until="prefer")


def test_a_gpu_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SitError, match="GPU"):
        check_before_start(load_config(overrides=["engine.device=cuda"]), RunFolder(tmp_path), CPU)


def test_bfloat16_on_a_t4(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no bfloat16"):
        check_before_start(load_config(overrides=["engine.dtype=bfloat16"]), RunFolder(tmp_path), T4)


def test_too_little_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(before_start.shutil, "disk_usage", lambda place: type("Usage", (), {"free": 1e6}))
    found = check_disk(load_config(), RunFolder(tmp_path / "not" / "there" / "yet"))
    assert not found.ok and "0.0 GB free" in found.found and found.fix
    with pytest.raises(UserError, match="disk is not ready"):
        check_before_start(load_config(), RunFolder(tmp_path), CPU)


def test_larger_students_need_more_disk() -> None:
    assert 0.2 < needed_gb(load_config()) < 1 < needed_gb(load_config("h200")) < 20


def test_a_relative_folder_has_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(tmp_path) in check_disk(load_config(), RunFolder(Path("runs/nano"))).found


def test_tags_and_rewards_are_planned_and_checked() -> None:
    plain, asked = load_config(), load_config(overrides=["filter.tags.model=nano:generator", "filter.min_reward=0"])
    before, after = ({e.stage: e for e in estimate(c, CPU)}["filter"] for c in (plain, asked))
    assert after.seconds > before.seconds + 5 and after.memory_gb > before.memory_gb
    assert "tags by generator" in after.detail and "scores by reward" in after.detail
    roles = [role for role, _ in models_until(asked, "filter")]
    assert roles == ["generator", "tagging model", "reward model"]
    assert [role for role, _ in models_until(asked, "generate")] == ["generator"]
    assert [role for role, _ in models_until(asked)].count("reward model") == 1


def test_what_the_filter_needs_is_checked_before_anything_is_generated(tmp_path: Path) -> None:
    for setting in ("folder: /nowhere, benchmarks: [mmlu]", "files: [nowhere.jsonl]"):
        config = load_config(overrides=[f"filter.contamination={{{setting}}}"])
        with pytest.raises(UserError, match="nowhere"):
            check_before_start(config, RunFolder(tmp_path), CPU, until="filter")
        check_before_start(config, RunFolder(tmp_path), CPU, until="generate")
    config = load_config(overrides=["filter.tokenizer=./nowhere", "filter.max_tokens=9"])
    with pytest.raises(UserError, match="tokenizer nowhere is not ready"):
        check_before_start(config, RunFolder(tmp_path), CPU, until="filter")


def test_all_mistakes_are_shown_at_once_each_with_its_fix(tmp_path: Path) -> None:
    template = tmp_path / "empty.jinja"
    template.write_text("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}")
    config = load_config(
        overrides=[
            "models.reward=nano:generator",
            "models.generator=nano:reward",
            f"models.students=[{{path: nano:student-llama, chat_template: {template}}}]",
            "models.responders=[a/b, a/c]",
            "generate.language=de",
            "filter.language=en",
            "engine.device=cuda",
        ]
    )
    with pytest.raises(UserError) as caught:
        check_before_start(config, RunFolder(tmp_path / "runs"), CPU)
    text = "\n".join(caught.value.lines())
    for part in (
        "7 things",
        "GPU",
        "no head",
        "does not write text",
        "processor time",
        "languages",
        "filter.language=de",
    ):
        assert part in text, part
    assert text.count("Connect to the Hub") == 1 and "(2 times)" in text
    assert caught.value.exit_code == 2
