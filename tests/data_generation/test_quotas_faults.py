"""Exact quotas, ready-made domains, and what is wrong with an instruction."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic_instruction_tuner.config import load_config
from synthetic_instruction_tuner.config.languages import NAMES, language_code, language_name
from synthetic_instruction_tuner.config.sections.generate import ready_made
from synthetic_instruction_tuner.data_generation.faults import FAULTS, examine, faults
from synthetic_instruction_tuner.data_generation.plan import apportion, interleave, system_prompt
from synthetic_instruction_tuner.errors import UserError

DATA = Path(__file__).parents[2].parent / "shared" / "data"
SHARES = st.dictionaries(st.text(max_size=3), st.floats(1e-3, 1e3), min_size=1, max_size=8)


@given(st.integers(0, 5000), SHARES)
def test_quotas_add_up_and_are_off_by_less_than_one(total: int, shares: dict[str, float]) -> None:
    counts = apportion(total, shares)
    assert sum(counts.values()) == total and counts.keys() == shares.keys()
    whole = sum(shares.values())
    assert all(abs(counts[name] - total * share / whole) < 1 + 1e-6 for name, share in shares.items())
    order = interleave(counts)
    assert Counter(order) == Counter({name: n for name, n in counts.items() if n})


def test_quotas_by_largest_remainder() -> None:
    assert apportion(10, {"a": 3, "b": 1}) == {"a": 8, "b": 2}  # 7.5 and 2.5: the first of equal remainders
    assert apportion(100, {"a": 0.1, "b": 0.2, "c": 0.7}) == {"a": 10, "b": 20, "c": 70}
    assert apportion(7, {"a": 1, "b": 1, "c": 1}) == {"a": 3, "b": 2, "c": 2}
    assert apportion(0, {"a": 1}) == {"a": 0} == apportion(5, {"a": 0})
    assert interleave({"a": 4, "b": 2}) == ["a", "b", "a", "a", "b", "a"]


def test_ready_made_domains_are_selected_by_name() -> None:
    assert {"coding", "reasoning", "math", "creative", "translation", "advice"} <= ready_made().keys()
    for text in ("[coding, math]", "coding, math", "{coding: 1, math: {share: 1}}", "{coding: , math: }"):
        domains = load_config(overrides=[f"generate.domains={text}"]).generate.domains
        assert list(domains) == ["coding", "math"] and domains["coding"].system == ready_made()["coding"]["system"]
        assert domains["math"].response.temperature == ready_made()["math"]["response"]["temperature"]
    own = load_config(overrides=["generate.domains={coding: {share: 2, system: Mine}, law: {system: Ask law.}}"])
    assert (own.generate.domains["coding"].system, own.generate.domains["coding"].share) == ("Mine", 2)
    assert own == load_config(
        overrides=[f"generate.domains={own.generate.model_dump_json(include={'domains'})[11:-1]}"]
    )
    for text, part in (("[codin]", "not a ready-made domain"), ("{law: {share: 2}}", "system"), ("7", "domains")):
        with pytest.raises(UserError, match=part):
            load_config(overrides=[f"generate.domains={text}"])


def test_topics_come_from_a_list_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "topics.txt"
    file.write_text("\ufeffowls\n\n  old bridges \n", encoding="utf-8")
    assert load_config(overrides=[f"generate.topics={file}"]).generate.topics == ("owls", "old bridges")
    assert load_config(overrides=["generate.topics=[owls]"]).generate.topics == ("owls",)
    with pytest.raises(UserError, match=r"topics.*cannot be read"):
        load_config(overrides=[f"generate.topics={tmp_path}/none.txt"])


def test_languages_have_names() -> None:
    assert (language_name("de"), language_name("Basque"), language_code("german")) == ("German", "Basque", "de")
    assert language_code("Klingonish") is None and all(len(code) == 2 for code in NAMES)
    for unknown in ("xx", "Klingonish"):
        with pytest.raises(UserError, match=f"'{unknown}' is no language"):
            load_config(overrides=[f"generate.language={unknown}"])
    assert system_prompt(None, None, "") is None
    french = "The user writes in French, and the assistant answers in French."
    assert system_prompt("A.", "owls", "fr") == f"A. The user's message is about this topic: owls. {french}"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty"),
        ("...", "empty"),
        ("<|im_start|>assistant\nHi", "role_leak"),
        ("What is it?\nassistant\nIt is", "role_leak"),
        ("Why? Assistant: because", None),
        ("Why?\nAssistant: because", "role_leak"),
        ("x [/INST] y", "role_leak"),
        ("Sure! Here is a list", "answering"),
        ("I\u2019m sorry, but I can't do that", "answering"),
        ("How can I help you today?", "answering"),
        ("Hello there! How may I assist you?", "answering"),
        ("As an AI language model, I", "answering"),
        (", and then some", "answering"),
        ("Sure thing is a song. Who wrote it?", None),
        ("How can I help my son with his homework?", None),
        ("Is a language model an assistant?", None),
        ("Here is a text. Shorten it:\nassistant", "role_leak"),
        ("Write to my assistant\nand to the system administrator", None),
        ("Great tits: what do they eat?", None),
        ("As an artist, how do I start?", None),
        ("Was ist ein Assistent?", None),
        ("\u4ec0\u4e48\u662f\u6d77\uff1f", None),
    ],
)
def test_faults_of_a_text(text: str, fault: str | None) -> None:
    assert faults(text) == ([fault] if fault else [])


def test_a_text_that_was_cut_where_another_turn_began_is_a_role_leak() -> None:
    health = examine(["Why is the sky blue?", "", "How do owls hunt?"], [False] * 3, [True, True, False])
    assert health.faults["role_leak"] == 2 and health.usable == 2 and health.faults["empty"] == 1
    assert health.examples["role_leak"] == "Why is the sky blue?" and not health.conclusive


def test_shares_of_probes() -> None:
    texts = ["What is rain made of?", "what is RAIN made of", "Sure, I can", "", "Tell me a"]
    health = examine(texts, [False, False, False, False, True])
    assert health.faults == {"empty": 1, "role_leak": 0, "answering": 1, "duplicate": 1, "truncated": 1}
    assert (health.probes, health.usable, health.share) == (5, 1, 0.2) and tuple(health.faults) == FAULTS
    assert health.problem(0.9) is None  # too few to decide
    bad = examine([*texts, "", "", ""], [False] * 8)
    error = bad.problem(0.5)
    assert error is not None and "2 of its first 8" in error.cause and "min_healthy" in error.fix
    assert bad.problem(0.25) is None and examine([], []).share == 1


def _real_instructions() -> Iterator[str]:
    for row in json.loads((DATA / "gpteacher/codegen-instruct.json").read_text(encoding="utf-8")):
        yield row["instruction"]
    for line in (DATA / "self-instruct/user_oriented_instructions.jsonl").read_text(encoding="utf-8").splitlines():
        yield json.loads(line)["instruction"]
    for talk in json.loads((DATA / "fastchat/dummy_conversation.json").read_text(encoding="utf-8")):
        yield from (turn["value"] for turn in talk["conversations"] if turn["from"] == "human")


def test_real_instructions_have_no_faults() -> None:
    if not DATA.exists():
        pytest.skip("the real instructions are not here")
    texts = [text for text in _real_instructions() if text.strip()]
    found = [text for text in texts if faults(text)]
    assert len(texts) > 5000 and len(found) <= len(texts) / 1000, found[:5]


def test_real_greetings_are_answers() -> None:
    if not DATA.exists():
        pytest.skip("the real conversations are not here")
    talks = json.loads((DATA / "fastchat/dummy_conversation.json").read_text(encoding="utf-8"))
    replies = [turn["value"] for talk in talks for turn in talk["conversations"] if turn["from"] != "human"]
    greetings = [text for text in replies if "How can I help you" in text[:60]]
    assert len(greetings) > 100
    assert all("answering" in faults(text) for text in greetings)
