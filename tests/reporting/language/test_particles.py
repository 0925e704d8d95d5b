"""Korean particles have the form that fits the word before them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic_instruction_tuner.reporting.language.particles import FORMS, fitting, with_particles


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("보상 모델", "보상 모델은"),
        ("기준", "기준은"),
        ("비교", "비교는"),
        ("학생 모델 3개", "학생 모델 3개는"),
        *((f"{n}", f"{n}{particle}") for n, particle in zip("0123456789", "은은는은는는은은은는", strict=True)),
        ("1,000", "1,000은"),
        ("0.25", "0.25는"),
        ("95%", "95%는"),
        ("1.3 GB", "1.3 GB는"),
        ("DPO", "DPO는"),
        ("SFT + DPO", "SFT + DPO는"),
        ("LoRA", "LoRA는"),
        ("LoRA SFT", "LoRA SFT는"),
        ("TRL", "TRL은"),
        ("LLM", "LLM은"),
        ("IFEval", "IFEval은"),
        ("MMLU", "MMLU는"),
        ("nano_mmlu", "nano_mmlu는"),
        ("MT-Bench", "MT-Bench는"),
        ("student-mistral", "student-mistral은"),
        ("student-llama", "student-llama는"),
        ("student-qwen2", "student-qwen2는"),
        ("token", "token은"),
        ("prompt tuning", "prompt tuning은"),
        ("prompt_strict", "prompt_strict는"),
        ("example", "example은"),
        ("보상 모델(nano:reward)", "보상 모델(nano:reward)은"),
        ("nano_mt (reward)", "nano_mt (reward)는"),
        (r"LoRA [\[2\]](#참고-문헌)", r"LoRA [\[2\]](#참고-문헌)는"),
        (r"IFEval [\[5\]](#참고-문헌)", r"IFEval [\[5\]](#참고-문헌)은"),
        ("**표 3**", "**표 3**은"),
        ("`beta`", "`beta`는"),
        ("", "은(는)"),
        ("모델 模型", "모델 模型은(는)"),
        ("😀", "😀은(는)"),
    ],
)
def test_the_last_sound_decides(before: str, expected: str) -> None:
    assert with_particles(before, "은(는)") == expected


@pytest.mark.parametrize(
    ("before", "expected"),
    [("모델", "로"), ("문항 240개", "로"), ("방법", "으로"), ("7", "로"), ("3", "으로"), ("50%", "로"), ("TRL", "로")],
)
def test_after_an_l_the_particle_of_means_is_short(before: str, expected: str) -> None:
    assert fitting(before, "(으)로") == expected


def test_all_forms_are_chosen_in_one_text() -> None:
    text = with_particles("모델", "이(가) 점수를 비교와 모델과(와) 쌍을(를) 본다. 표(이)라 한다.")
    assert text == "모델이 점수를 비교와 모델과 쌍을 본다. 표라 한다."


@given(before=st.text(max_size=30), form=st.sampled_from([*FORMS]))
def test_whatever_stands_before_stays_as_it_is(before: str, form: str) -> None:
    made = with_particles(before, f"{form} 끝")
    assert made.startswith(before) and made[len(before) :] in {f"{one} 끝" for one in (form, *FORMS[form])}
