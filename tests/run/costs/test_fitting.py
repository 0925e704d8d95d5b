"""What does not fit a card is named with settings that make it fit, and each profile fits its own card."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthetic_instruction_tuner.config import change_config, load_config
from synthetic_instruction_tuner.models.hardware import Hardware
from synthetic_instruction_tuner.run.costs.cards import CARDS, Card, machine_with
from synthetic_instruction_tuner.run.costs.fitting import settings_that_fit
from synthetic_instruction_tuner.run.planning import estimate, too_large
from synthetic_instruction_tuner.run.profiles import auto_line, fitting_profile, hint

HERE = Hardware("cpu", "x86_64", 2, 16.0, None, None, "2.6", "5.10")
OWN = [("t4", "t4"), ("l4", "l4"), ("a100", "a100-40"), ("a100", "a100-80"), ("a100", "h100"), ("h200", "h200")]


@pytest.mark.parametrize(("profile", "card"), OWN)
def test_a_profile_fits_its_card_in_every_stage(profile: str, card: str) -> None:
    machine = machine_with(CARDS[card], HERE)
    found = estimate(load_config(profile), machine, CARDS[card])
    assert too_large(found, machine) == []
    if card == "t4":
        assert max(e.memory_gb for e in found) < 15
    seconds = {e.stage: e.seconds for e in found}
    assert sum(seconds.values()) < 24 * 3600, "not a thousand hours"


def test_a_t4_holds_large_models_in_4_bits_and_small_ones_in_16() -> None:
    machine = machine_with(CARDS["t4"], HERE)
    held = {t.model: t.number_format for e in estimate(load_config("t4"), machine) for t in e.tasks}
    assert held["Llama-3.1-8B-Instruct"] == held["Mistral-7B-v0.3"] == held["Mistral-7B-Instruct-v0.3"] == "nf4"
    assert held["Llama-3.2-3B"] == held["Qwen2.5-3B"] == held["Llama-3.2-1B-Instruct"] == "float16"


def test_a_student_has_one_format_in_all_stages() -> None:
    for name, card in CARDS.items():
        held: dict[str, set[str]] = {}
        config = load_config("a100")
        students = {model.name for model in config.models.students}
        for e in estimate(config, machine_with(card, HERE), card):
            for task in e.tasks:
                held.setdefault(task.model, set()).add(task.number_format)
        assert all(len(held[student]) == 1 for student in students), name


@given(
    st.sampled_from(("t4", "a100", "h200")),
    st.floats(5.0, 60.0),
    st.sampled_from(([], ["models.generator.load_in_4bit=false"], ["models.students.1.load_in_4bit=false"])),
)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_settings_that_are_said_to_make_a_stage_fit_do(profile: str, memory: float, changes: list[str]) -> None:
    config = load_config(profile, overrides=changes)
    card = Card("a GPU", memory, 5e11, 1e14, (8, 0))
    machine = machine_with(card, HERE)
    for stage in too_large(estimate(config, machine, card), machine)[:2]:
        found = settings_that_fit(config, machine, stage, card)
        if found is None:
            assert memory < 20, stage
            continue
        again = {e.stage: e for e in estimate(change_config(config, found), machine, card)}
        assert again[stage.stage].memory_gb <= machine.memory_for_models_gb
        for method in ("sft", "prompt_tuning", "dpo"):  # the training stays the same
            old, new = (getattr(c.train, method) for c in (config, change_config(config, found)))
            batches = [t.per_device_train_batch_size * t.gradient_accumulation_steps for t in (old, new)]
            assert batches[0] == batches[1]


# The profile for a machine


@pytest.mark.parametrize(
    ("card", "profile"),
    [("t4", "t4"), ("l4", "l4"), ("rtx4090", "l4"), ("l40s", "a100"), ("a100-40", "a100"), ("h100", "a100")],
)
def test_profile_auto_takes_what_fits(card: str, profile: str) -> None:
    machine = machine_with(CARDS[card], HERE)
    assert fitting_profile(machine) == profile
    assert f"Profile auto takes {profile} for {CARDS[card].name}" in auto_line(machine)
    found = hint(machine)
    assert found and f"--profile {profile}" in found and CARDS[card].name in found


@given(st.floats(1, 300))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_auto_takes_fits_any_memory(memory: float) -> None:
    card = Card("a GPU", memory, 5e11, 1e14, (8, 0))
    machine = machine_with(card, HERE)
    profile = fitting_profile(machine)
    if memory > 5:
        assert too_large(estimate(load_config(profile), machine, card), machine) == []


def test_without_a_gpu() -> None:
    assert fitting_profile(HERE) == "cpu" and hint(HERE) is None
    assert fitting_profile(Hardware("cpu", "arm64", 2, 4.0, None, None, "", "")) == "nano"


def test_one_setting_is_enough_where_one_is() -> None:
    machine = machine_with(CARDS["t4"], HERE)
    config = load_config("t4", overrides=["models.students.1.load_in_4bit=false"])
    sft = next(e for e in too_large(estimate(config, machine), machine) if e.stage == "sft")
    assert settings_that_fit(config, machine, sft) == ["models.students.1.load_in_4bit=true"]
    config = load_config("h200")
    machine = machine_with(CARDS["a100-40"], HERE)
    sft = next(e for e in too_large(estimate(config, machine), machine) if e.stage == "sft")
    assert settings_that_fit(config, machine, sft) == ["train.sft.gradient_checkpointing=true"]


def test_too_many_texts_at_once_become_as_many_as_fit() -> None:
    machine = machine_with(CARDS["t4"], HERE)
    config = load_config("t4", overrides=["engine.batch_size=50000", "generate.count=50000", "generate.batch=50000"])
    generate = next(e for e in too_large(estimate(config, machine), machine) if e.stage == "generate")
    assert settings_that_fit(config, machine, generate) == ["engine.batch_size=auto"]


@pytest.mark.parametrize(("profile", "card"), OWN)
def test_more_texts_run_where_more_memory_is_free(profile: str, card: str) -> None:
    """The batches of the GPU profiles follow the card; each is at least what was fixed for such a card before."""
    batch: dict[str, dict[tuple[str, str], int]] = {}
    for name in (card, "h200"):
        found = estimate(load_config(profile), machine_with(CARDS[name], HERE), CARDS[name])
        tasks = [(e.stage, t) for e in found for t in e.tasks if t.engine == "transformers"]
        batch[name] = {(stage, t.model): int(t.batch.replace(",", "")) for stage, t in tasks}
    assert all(batch[card][key] <= batch["h200"][key] for key in batch[card] if key in batch["h200"])
    assert batch[card][("generate", "Llama-3.1-8B-Instruct")] > {"t4": 32, "l4": 24, "a100": 96, "h200": 256}[profile]
