"""What goes wrong in trainings elsewhere, and the test that it cannot go wrong here, or why it cannot."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from synthetic_instruction_tuner.config import DpoConfig, ModelConfig, PromptTuningConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.methods import METHODS
from synthetic_instruction_tuner.records import PreferencePair, Record
from synthetic_instruction_tuner.training.dpo import Dpo
from synthetic_instruction_tuner.training.prompt_tuning import PromptTuning

TESTS = Path(__file__).parents[1]
TESTED: dict[str, tuple[str, ...]] = {
    "bfloat16 on a GPU that only emulates it, as a trainer's default": (
        "run/test_t4_rules.py::test_no_stage_breaks_the_rules_of_a_t4",
        "models/test_number_format.py::test_a_gpu_without_bfloat16_refuses_it_in_4_bits_too",
    ),
    "adapters cast to bfloat16 over a base model in 4 bits, which loss scaling then cannot unscale": (
        "training/test_qlora.py::test_no_adapter_is_rounded_to_bfloat16_on_the_way",
        "run/test_t4_rules.py::test_no_stage_breaks_the_rules_of_a_t4",
    ),
    "trained weights in float16, whose gradients cannot be unscaled": (
        "training/test_training.py::test_half_precision_weights_still_get_a_float32_adapter",
        "run/test_t4_rules.py::test_the_watcher_sees_what_is_forbidden",
    ),
    "packed texts that see each other where a kernel is missing": (
        "training/packed/test_packed_attention.py::test_a_kernel_counts_only_if_it_agrees",
        "training/packed/test_packed_pass.py::test_no_text_sees_another",
        "training/packed/test_packed_pass.py::test_a_pass_that_computes_something_else_is_found_out",
    ),
    "an end of turn that is never learned, as it is the padding token": (
        "training/test_examples.py::test_loss_counts_the_answer_and_its_end_also_where_the_end_is_the_padding",
        "training/test_examples.py::test_an_untrained_end_of_turn_is_refused",
        "training/test_odd_data.py::test_a_pad_that_is_the_end_of_turn_is_still_learned",
    ),
    "templates that do not mark answers, so that all tokens or none are trained": (
        "chat/test_template.py::test_training_goes_on_where_the_prompt_ends",
    ),
    "a second beginning of sequence before a rendered text": (
        "chat/test_template.py::test_pre_query_message_and_rest_are_the_whole",
        "engines/test_server_engine.py::test_a_text_server_that_adds_a_bos_gets_none",
    ),
    "another version of Transformers that returns or reads other things": (
        "chat/test_template.py::test_it_is_what_the_tokenizer_itself_renders",
        "training/packed/test_recomputed_linears.py::test_turning_is_the_rotary_embedding_of_transformers",
    ),
    "virtual tokens before the padding, where training had them behind it": (
        "engines/test_transformers_engine.py::test_soft_prompt",
        "evaluation/test_lm_harness.py::test_soft_prompts_are_right_in_batches",
    ),
    "PEFT's generation with a soft prompt, which depends on a version's cache": (
        "engines/test_transformers_engine.py::test_soft_prompt",
        "engines/test_paged_decoding.py::test_pages_give_the_texts_of_slots",
    ),
    "DPO behind a soft prompt, where answers are scored by other positions' logits": (
        "training/test_pitfalls.py::test_a_soft_prompt_is_not_trained_on_pairs",
    ),
    "benchmarks that read the logits of virtual tokens as those of the text": (
        "evaluation/test_lm_harness.py::test_soft_prompts_are_right_in_batches",
        "exporting/test_soft_tokens.py::test_lm_eval_reads_it_in_batches",
    ),
    "a faster pass that goes around PEFT and drops the soft prompt": (
        "training/test_training.py::test_the_cpu_head_trains_like_trls_own",
        "training/packed/test_packed_pass.py::test_a_soft_prompt_stands_before_every_text",
    ),
    "DPO with the base model as the reference of an SFT policy": (
        "training/test_training.py::test_a_wrong_reference_is_noticed",
        "training/test_training.py::test_the_reference_is_the_sft_policy_whatever_the_batches",
    ),
    "chosen answers that become unlikely together with the rejected ones": (
        "training/test_curve.py::test_both_answers_becoming_unlikely_is_said",
        "training/test_training.py::test_the_chosen_answers_own_loss_is_added_and_told_apart",
    ),
    "gradient checkpointing over frozen weights, without any gradient": (
        "training/test_training.py::test_gradient_checkpointing_trains_the_same",
        "training/test_recovery.py::test_a_training_without_gradients_is_found_and_said",
    ),
    "a resumed training that repeats rows or leaves some out": (
        "training/test_resume.py::test_resumed_equals_uninterrupted",
        "training/test_resume.py::test_the_trained_rows_are_those_in_the_order_file",
    ),
    "another global batch, or another place in the data, after too little memory": (
        "training/test_recovery.py::test_out_of_memory_trains_on_in_smaller_micro_batches_with_the_same_losses",
        "training/packed/test_packed_training.py::test_out_of_memory_halves_the_packs_and_trains_the_same",
    ),
    "a mean of means under accumulation": (
        "training/test_training.py::test_accumulated_batches_train_like_large_ones",
        "training/test_dpo_steps.py::test_a_last_step_of_unequal_micro_batches_is_the_mean_over_its_pairs",
    ),
    "rows without a trained token after cutting": (
        "training/test_examples.py::test_long_examples_are_cut_at_the_end_and_hopeless_ones_dropped",
        "training/test_examples.py::test_pairs_that_are_equal_after_cutting_are_dropped",
    ),
    "settings that nothing reads": ("config/test_settings_config.py::test_every_field_is_read_by_something",),
}
REASONED = {
    "versions of the libraries that drift apart": "constraints.txt has the version of each that the tests have seen, "
    "and make installs those; pyproject.toml has the range.",
    "Transformers' continuous batching with PEFT models": "it is not used: decoding is the engines' own.",
}


def test_what_is_tested_has_its_tests() -> None:
    named = {name for names in TESTED.values() for name in names}
    missing = []
    for name in named:
        file, function = name.split("::")
        if not re.search(rf"^def {function}\(", (TESTS / file).read_text(encoding="utf-8"), re.MULTILINE):
            missing.append(name)
    assert missing == []
    assert len(TESTED) + len(REASONED) == 23


def test_what_is_only_reasoned_is_so() -> None:
    root = TESTS.parent
    assert "-c constraints.txt" in (root / "Makefile").read_text(encoding="utf-8")
    assert "trl>=1.16,<2" in (root / "pyproject.toml").read_text(encoding="utf-8")
    assert not [f for f in (root / "src").rglob("*.py") if ".generate_batch(" in f.read_text(encoding="utf-8")]


def test_a_soft_prompt_is_not_trained_on_pairs(
    tmp_path: Path, student: ModelConfig, records: list[Record], pairs: list[PreferencePair]
) -> None:
    """No stage asks for it; in Python it is refused, as TRL would train it on misplaced logits without a word."""
    assert [m.starts_from for m in METHODS if m.trains_on == "pairs"] == ["sft"]
    config = PromptTuningConfig(num_train_epochs=0.1, num_virtual_tokens=3)
    PromptTuning(config).train(student, records, tmp_path / "soft")
    with pytest.raises(UserError, match="Only a LoRA adapter") as caught:
        Dpo(DpoConfig()).train(student, tmp_path / "soft/final", pairs, tmp_path / "dpo")
    assert "PROMPT_TUNING" in caught.value.cause
