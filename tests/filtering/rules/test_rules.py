"""The rules that look at one record."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared_data import shared
from synthetic_instruction_tuner.config import FilterConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.filtering.refusal.keywords import RefusalKeywords
from synthetic_instruction_tuner.filtering.rule import TextRule, Verdict
from synthetic_instruction_tuner.filtering.rules.language import Language, languages_named
from synthetic_instruction_tuner.filtering.rules.length import NotEmpty, ResponseLength, TokenLength
from synthetic_instruction_tuner.filtering.rules.repetition import (
    LineRepetition,
    NgramRepetition,
    PhraseRepetition,
    WordRepetition,
    longest_phrase_run,
    longest_run,
    repeated_share,
)
from synthetic_instruction_tuner.records import Record

PHRASES = FilterConfig().refusal_phrases


def answer(text: str) -> Record:
    return Record("r", "Tell me something.", text)


@pytest.mark.parametrize(("words", "passed"), [(0, False), (19, False), (20, True), (500, True), (501, False)])
def test_length_limits_are_included(words: int, passed: bool) -> None:
    verdict = ResponseLength(20, 500).check(answer("word " * words))
    assert (verdict.passed, verdict.value, verdict.limit) == (passed, words, "20..500")
    assert bool(verdict.reason) != passed


@pytest.mark.parametrize(
    ("instruction", "response", "measured"),
    [
        ("a", "b", None),
        (" \n", "b", "instruction"),
        ("a", "", "response"),
        ("", "\t", "instruction and response"),
        ("?!", "b", "instruction"),
        ("\U0001f600 _", "b", "instruction"),
        ("\u4f60", "b", None),
        ("7?", "b", None),
    ],
)
def test_empty_is_measured(instruction: str, response: str, measured: str | None) -> None:
    verdict = NotEmpty().check(Record("r", instruction, response))
    assert (verdict.passed, verdict.value) == (measured is None, measured)


@pytest.mark.parametrize(
    ("text", "run"),
    [
        ("very very very good", 3),
        ("Very, very very. VERY! good", 4),
        ("no “no” (no) **no**", 4),
        ("no no yes no no", 2),
        ("Say | yes | yes | yes | yes | twice", 1),
        ("- - - - -", 0),
        ("Take -1 1 1 1 1 -1 1", 1),
        ("straße STRASSE Strasse x", 3),
        ("", 0),
        ("no no so so so no no no no", 4),
        ("word\nword\nword\nword", 4),
    ],
)
def test_word_runs(text: str, run: int) -> None:
    verdict = WordRepetition(3).check(answer(text))
    assert (verdict.value, verdict.passed) == (run, run <= 3)


@pytest.mark.parametrize(
    ("text", "run"),
    [
        ("same\n" * 3 + "other", 3),
        ("same\n\n" * 4, 4),
        ("same  \nsame\nsame\t\nsame", 4),
        ("      }\n    }\n  }\n}", 0),
        ("---\n" * 9, 0),
        ("  go on\n   go on\n  go on\n   go on", 1),
    ],
)
def test_line_runs(text: str, run: int) -> None:
    verdict = LineRepetition(3).check(answer(text))
    assert (verdict.value, verdict.passed) == (run, run <= 3)


@given(st.lists(st.sampled_from(["a", "b", "-"]), max_size=30))
def test_longest_run_is_that_of_the_definition(items: list[str]) -> None:
    best = 0
    for i in range(len(items)):
        for j in range(i, len(items)):
            if items[i] != "-" and len(set(items[i : j + 1])) == 1:
                best = max(best, j - i + 1)
    assert longest_run(items)[0] == best


@pytest.mark.parametrize(
    ("text", "run"),
    [
        ("and so on " * 6, 6),
        ("we go. We go! we GO", 3),
        ("one two " * 2, 1),
        ("very very very very", 1),
        ("| 1 | 0 | 1 | 0 | 1 | 0 | 1 | 0 |", 1),
        ("he is 1 and she is 2, " * 9, 9),
        ("Ann B C D E F G. " * 4 + "End", 4),
        ("", 1),
    ],
)
def test_phrase_runs(text: str, run: int) -> None:
    verdict = PhraseRepetition(5).check(answer(text))
    assert (verdict.value, verdict.passed) == (run, run <= 5)
    assert bool(verdict.reason) != verdict.passed


@given(st.lists(st.sampled_from(["we", "go"]), max_size=24))
def test_longest_phrase_run_is_that_of_the_definition(words: list[str]) -> None:
    best = 1
    for period in range(2, 41):
        for start in range(len(words)):
            part, times = words[start : start + period], 1
            while len(part) == period and words[start + times * period : start + (times + 1) * period] == part:
                times += 1
            if times > 2 and len(set(part)) > 1:
                best = max(best, times)
    assert longest_phrase_run(words)[0] == best


@given(st.lists(st.sampled_from(["we", "go", "on"]), max_size=60))
def test_repeated_share_is_that_of_the_definition(words: list[str]) -> None:
    grams = [tuple(words[i : i + 8]) for i in range(len(words) - 7)]
    covered = {i + k for i, gram in enumerate(grams) if gram in grams[:i] for k in range(8)}
    assert repeated_share(words) == pytest.approx(len(covered) / len(words) if words else 0.0)


INTRODUCTION = "Here is what you have asked for, with a few words before it:\n\n"
NO_LOOPS = [
    "I = [[1, 0, 0, 0, 0], [0, 0, 0, 0, 1]]",
    "1 0 0 0 0\n" * 6,
    "$$\\begin{pmatrix} 0 \\\\ 0 \\\\ 0 \\\\ 0 \\\\ 0 \\end{pmatrix}$$",
    "\\begin{bmatrix} x & x & x & x & x \\end{bmatrix} \\quad \\quad \\quad \\quad",
    "| A | B |\n|---|---|\n" + "| no | no |\n" * 8,
    "0, 0, 0, 0, 0, 0\n" * 7,
    "a,b,c\n" + "x,,y\n" * 7,
    "00000010  ff ff ff ff ff ff ff ff  00 00 00 00\n" * 9,
    "The row is null, null, null, null, and NaN NaN NaN NaN, true true true true.",
    "0x00 0x00 0x00 0x00 1e5 1e5 1e5 1e5 3.5 3.5 3.5 3.5",
    "<p>Top</p>\n" + "<br>\n" * 9 + "and <br> <br> <br> <br> <br> inside",
    "print('-' * 10)\n" * 9,
    "x = x + 1;\n" * 9 + "}\n" * 5,
    "```sql\nINSERT INTO t VALUES\n" + "(NULL, 'x'),\n" * 9 + "```",
    "~~~~\nsome plain words here\n" + "some plain words here\n" * 9 + "~~~~",
    "    indented words here\n" * 9,
    "Name: ____\n" * 9 + "Date: ........\n" * 9 + "[ ] done\n" * 9 + "Address:\n" * 9,
    "xxxxxx\n" * 9 + "# # #\n" * 9 + "X O X\n" * 9,
    "- null\n" * 9 + "- false\n" * 9 + "  - NaN\n" * 9,
    "\n".join(f"{n}. True" for n in range(1, 12)) + "\n" + "\n".join(f"{n}) no answer given" for n in range(1, 12)),
    "La la la la la la, we dance. Ha ha ha ha ha! 哈哈哈哈哈哈, he said.",
    "谢谢谢谢你，我很高兴。 ว้าว สวยมากๆๆๆๆๆ",
]
LOOPS = [
    "It was very very very very long.",
    "It was very, very, very, very long.",
    "**no** no (no) “no”",
    "She said la " + "la " * 40,
    "He goes home.\n" * 4,
    "\n".join(f"{n}. Drink more water every day." for n in range(1, 12)),
    "\n\n".join(f"  {n}) Drink more water every day." for n in range(1, 12)),
    "He goes home to the sea and sleeps well.\n\n" * 6,
    "我非常非常非常非常高兴。",
    "我 非常 非常 非常 非常 高兴。",
    "这真的很好，很好，很好，很好，很好。",
    "とてもとてもとてもとても楽しい。",
    "สวยมากมากมากมากมาก",
    "очень очень очень очень хорошо",
    "बहुत बहुत बहुत बहुत अच्छा",
    "and so on, " * 7,
    "print('hello world')\n" * 60,
    "```\nand a line of words\n" + "and a line of words\n" * 60 + "```",
    "```\nx = 1\n```\nvery very very very good",
    "````\n```\n````\nvery very very very good",
]


def loop_rules() -> list[TextRule]:
    config = FilterConfig()
    words, lines = WordRepetition(config.max_word_repeats), LineRepetition(config.max_line_repeats)
    return [words, lines, PhraseRepetition(config.max_phrase_repeats), NgramRepetition(config.max_repeated_share)]


@pytest.mark.parametrize("text", NO_LOOPS)
def test_numbers_literals_code_and_forms_are_no_loops(text: str) -> None:
    assert [v for rule in loop_rules() if not (v := rule.check(answer(INTRODUCTION + text))).passed] == []


@pytest.mark.parametrize("text", LOOPS)
def test_loops_in_prose_are_loops_in_any_script(text: str) -> None:
    assert not all(rule.check(answer(INTRODUCTION + text)).passed for rule in loop_rules())


NOTATION = [
    "nop\nnop\nnop\nnop\nnop\nnop", "nop nop nop nop nop nop", "ATG ATG ATG ATG ATG ATG GCC TAA",
    "push eax\npush eax\npush eax\npush eax\npush eax", "inc ecx\n" * 5, "C C C C | G G G G | Am Am Am Am | F F F F",
    "Am Am Am Am F F F F C C C C", "Verse: Em Em Em Em Em Em", "HH: x x x x x x x x\nSD: - - o - - - o -",
    "4 four four four four\n5 five five five five five", "Apple apple apple apple apple makes five apples.",
    'print("moo moo moo moo moo")', "dit dit dit dit dah dah", "Row 1: k k k k k k k k p p", "Gly Gly Gly Gly Gly Ser",
    "mi mi mi mi re re re re", "[MASK] [MASK] [MASK] [MASK] [MASK]", "O O O O O B-PER I-PER O O O O O",
    "o o o o o o\n" * 5, "x x x x\nX X X X", "```\nAUG AUG AUG AUG AUG\n```", "| C C C C | G G G G |\n" * 5,
    "```yaml\n- a\n- a\n- a\n- a\n- a\n```", "```\nHello\nHello\nHello\nHello\nHello\n```",
]  # fmt: skip


@pytest.mark.parametrize("text", NOTATION)
def test_notation_assembly_and_counting_are_no_loops(text: str) -> None:
    response = answer(f"Here is what you asked for:\n\n{text}\n\nThat is all.")
    for rule in (WordRepetition(3), LineRepetition(3), PhraseRepetition(5)):
        assert rule.check(response).passed, rule


@pytest.mark.parametrize(
    "text",
    [
        "```\nthe the the the the the\n```",
        "```text\nI am very very very very very happy.\n```",
        "~~~\nno no no no no no no no no no\n~~~",
        "Cats are VERY VERY VERY VERY VERY nice.",
        "It is a a a a a house.",
        "I am am am am am here.",
        "Go go go go go to the store.",
        "The act act act act act was long.",
        "I call call call call call you.",
    ],
)
def test_loops_in_prose_stay_loops(text: str) -> None:
    assert not WordRepetition(3).check(answer(f"Here it is:\n\n{text}\n\nThat is all.")).passed


MEANT = [
    "DET NOUN NOUN NOUN NOUN NOUN VERB", "the cat sat PAD PAD PAD PAD PAD PAD PAD", "B-PER I-PER I-PER I-PER I-PER O",
    "Buffalo buffalo Buffalo buffalo buffalo buffalo Buffalo buffalo.", "The tags are NN NN NN NN NNP NNP VBZ.",
    'James, while John had had "had", had had "had had"; "had had" had had a better effect on the teacher.',
    "The pattern matches 'go go go go', and `spam spam spam spam`.", "The light is RED RED RED RED GREEN GREEN.",
    "Press up up up up down down left.", "WIN WIN WIN WIN LOSS DRAW", "Stop! Stop! Stop! Stop!",
]  # fmt: skip
PROSE_IN_FENCES = [
    "```python\n" + "I like the sea very much.\n" * 5 + "```",
    "```python\nthe the the the the the\n```",
    "```js\nlet x = 1;\n" + "This adds two numbers and returns them.\n" * 5 + "```",
    "```python\n" + "    # Adds two numbers and returns the sum.\n" * 5 + "```",
    "```\n" + "The cat sleeps all day and eats at night.\n" * 6 + "```",
    "```bash\n" + "我喜欢在大海里游泳。\n" * 6 + "```",
]
CODE_IN_FENCES = [
    "```gherkin\n" + "When I press the red button\n" * 5 + "```",
    "```cobol\n" + "MOVE A TO B\n" * 5 + "```",
    "```bash\nyes yes yes yes yes\n```",
    "It prints:\n```\n" + "I like the sea very much.\n" * 5 + "```",
    "```python\n" + "# Adds the numbers.\nx += 1\n" * 4 + "```",
    "```sql\nNULL NULL NULL NULL\n```",
]


COUNTERS = [
    *("{n}. ", "{n}) ", "({n}) ", "**{n}.** ", "{n} - ", "- {n}. ", "### {n}. ", "#{n}: ", "[{n}] ", "{letter}) "),
    *("{bullet} ", "{hour}:00 ", "{hour}:00 AM - ", "{hour}:00 - {hour}:30: ", "{n} pm: ", "- {hour}:15 "),
    *("Step {n}: ", "**Day {n}:** ", "Tip {n}. "),
]
SAID = ["Drink water.", "Drink water", "Drink more water every day.", "喝水。", "Пейте воду!"]


def listed(counter: str, said: str, times: int = 7) -> str:
    places = ((n, "abcdefg"[n - 1], "-*•+"[n % 4], n + 6) for n in range(1, times + 1))
    return "\n".join(
        counter.format(n=n, letter=letter, bullet=mark, hour=hour) + said for n, letter, mark, hour in places
    )


@pytest.mark.parametrize("counter", COUNTERS)
def test_an_item_that_comes_again_under_another_number_is_a_loop(counter: str) -> None:
    for said in SAID:
        text = listed(counter, said)
        assert not all(rule.check(answer(INTRODUCTION + text)).passed for rule in loop_rules()), text
        spread = text.replace("\n", "\n\n")
        assert not all(rule.check(answer(INTRODUCTION + spread)).passed for rule in loop_rules()), spread


@pytest.mark.parametrize("counter", ["{n}. ", "{n}) ", "- {n}. ", "Question {n}: "])
def test_answers_and_labels_under_numbers_are_no_loop(counter: str) -> None:
    for said in ("True.", "Not given.", "Strongly agree", "Positive", "B", "null", "12", "x = 0"):
        text = listed(counter, said)
        assert all(rule.check(answer(INTRODUCTION + text)).passed for rule in loop_rules()), text
    text = listed(counter, "Rest day", 4) + "\n" + "\n".join(f"{n}. Run {n} km in the park." for n in range(1, 8))
    assert all(rule.check(answer(INTRODUCTION + text)).passed for rule in loop_rules())


def test_items_within_a_line_loop_too() -> None:
    text = " ".join(f"{n}. Drink water." for n in range(1, 8))
    assert not all(rule.check(answer(INTRODUCTION + text)).passed for rule in loop_rules())


@pytest.mark.parametrize("text", MEANT + CODE_IN_FENCES)
def test_labels_mentions_states_and_code_are_no_loops(text: str) -> None:
    response = answer(f"{INTRODUCTION}{text}\n\nThat is all.")
    assert [rule for rule in loop_rules() if not rule.check(response).passed] == []


@pytest.mark.parametrize("text", PROSE_IN_FENCES)
def test_prose_in_a_fence_of_code_is_prose(text: str) -> None:
    response = answer(f"{INTRODUCTION}{text}\n\nThat is all.")
    assert not all(rule.check(response).passed for rule in loop_rules())


@given(st.sampled_from(["Buffalo buffalo", "'go go", "RED RED RED GREEN GREEN RED"]), st.integers(20, 60))
def test_what_goes_on_and_on_is_a_loop_however_it_began(start: str, times: int) -> None:
    word = start.split()[-1]
    assert not WordRepetition(3).check(answer(f"Well: {start} {f'{word} ' * times}")).passed


@pytest.mark.parametrize(
    ("asked", "passed"),
    [
        ("Say 'again' five times.", True),
        ("Say again 5 times, then stop.", True),
        ("What does again again again again again mean?", True),
        ("Say it five times.", False),
        ("Say again six times.", False),
        ("Again! What is it again, and again, and again, and again?", False),
    ],
)
def test_a_run_that_is_asked_for_is_no_loop(asked: str, passed: bool) -> None:
    record = replace(answer("Well, again again again again again it is."), instruction=asked)
    assert WordRepetition(3).check(record).passed is passed


@given(st.sampled_from(["the", "sehr", "очень", "बहुत", "nunca", "非常"]), st.integers(4, 30), st.sampled_from(" ,\n"))
def test_a_repeated_word_is_a_loop_however_it_is_set(word: str, times: int, between: str) -> None:
    text = f"{INTRODUCTION}He said {' '.join([word + between.strip()] * times)} then."
    assert WordRepetition(3).check(answer(text)).value == times


@settings(deadline=None)
@given(st.text(st.sampled_from("ab 0(){}[]<>|;:,._\n\t`~'\"=非常มาก"), max_size=200))
def test_the_rules_on_loops_take_any_text(text: str) -> None:
    for rule in loop_rules():
        assert isinstance(rule.check(answer(text)), Verdict)


@pytest.mark.parametrize("text", ["(" * 9999, "a," * 9999, "a(" * 9999, "x" * 100_000, "a: " * 9999, "非" * 9999])
def test_long_lines_take_no_time(text: str) -> None:
    start = time.process_time()
    for rule in loop_rules():
        rule.check(answer(text + "\n" + text + "?"))
    assert time.process_time() - start < 10


def test_loops_go_and_tables_and_choruses_stay() -> None:
    loop = "The river is long and wide and it flows to the sea. " * 12
    assert not NgramRepetition(0.8).check(answer(loop)).passed
    assert not PhraseRepetition(5).check(answer("First, something else is said here. " + loop)).passed
    table = "\n".join(f"| {i} | yes | no | {i * i} |" for i in range(60))
    song = "Sing with me, oh sing with me, the day is bright and the day is long, and we walk to town. " * 4
    for text in (table, song):
        assert NgramRepetition(0.8).check(answer(text)).passed and PhraseRepetition(5).check(answer(text)).passed


def test_tokens_are_counted_by_the_given_tokenizer() -> None:
    rule = TokenLength(len, {"name": "characters"}, 3, 5)
    assert [rule.check(answer("x" * n)).passed for n in (2, 3, 5, 6)] == [False, True, True, False]
    assert rule.check(answer("\ud800" * 4)).value == 4
    assert TokenLength(len, {}, 0, None).check(answer("x" * 999)).limit == "0.."
    assert rule.basis() == {"tokenizer": {"name": "characters"}} and rule.limits()["max_tokens"] == 5


@pytest.mark.parametrize(
    ("text", "measured"),
    [
        ("As an AI, there is much I know.", "As an AI @ 0"),
        ("Sorry, I’m  not\nable to do it.", "I'm not able @ 7"),
        ("well, i CANNOT say", "I cannot @ 6"),
        ("I don`t have it and I cannot", "I don't have @ 0"),
        ("The API cannot do this, nor can WiFi cannot.", None),
        ("It was an aim as an aide.", None),
        ("He said I cannotx", None),
        ("İİİ I cannot", "I cannot @ 4"),
        ("Of course! Here it is.", None),
    ],
)
def test_refusals(text: str, measured: str | None) -> None:
    verdict = RefusalKeywords(PHRASES).check(answer(text))
    assert (verdict.value, verdict.passed) == (measured, measured is None)


@given(st.sampled_from(PHRASES), st.text(" .,!\n'", max_size=20), st.text(" .,!\n", max_size=20))
def test_a_phrase_is_found_wherever_it_stands(phrase: str, before: str, after: str) -> None:
    assert not RefusalKeywords(PHRASES).check(answer(before + phrase + after)).passed


def test_no_phrases_means_no_refusals() -> None:
    assert RefusalKeywords(()).check(answer("As an AI I cannot")).passed


@pytest.mark.parametrize("phrase", ["", "  ", "..."])
def test_a_phrase_without_words_is_the_users_mistake(phrase: str) -> None:
    with pytest.raises(UserError, match="phrase"):
        RefusalKeywords(("I cannot", phrase))


@pytest.fixture(scope="module")
def english() -> Language:
    return Language("en", 0.7)


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("Die Hauptstadt von Frankreich ist Paris, und sie liegt an der Seine im Norden des Landes.", False),
        ("La capitale de la France est Paris, une très belle ville\nau bord de la Seine.", False),
        ("法国的首都是巴黎,它位于塞纳河畔。", False),
        ("The capital of France is Paris, which lies on the river Seine.", True),
        ("def add(a, b):\n    return a + b\n\nprint(add(1, 2))", True),
        ("for (int i = 0; i < n; i++) { total += values[i]; }", True),
        ("x^2 + y^2 = z^2", True),
        ("42", True),
        ("", True),
        ("😀😀", True),
        ("\ud800\0", True),
    ],
)
def test_only_what_is_surely_another_language_goes(english: Language, text: str, passed: bool) -> None:
    verdict = english.check(Record("r", text, text))
    assert verdict.passed == passed, verdict


FRENCH = "Le comité se réunira demain matin pour discuter du budget de la ville et des écoles."


@pytest.mark.parametrize(
    ("instruction", "response", "passed"),
    [
        ("Translate this into French: The committee will meet tomorrow to discuss the budget.", FRENCH, True),
        ("How would you say in french that the committee meets tomorrow morning?", FRENCH, True),
        ("Write a short poem in Spanish about the sea.", "El mar es azul y profundo, canta con voz de cristal.", True),
        ("What does the committee of the city do tomorrow morning?", FRENCH, False),  # nobody asked for it
        ("Write an English sentence about the committee of the city.", FRENCH, False),
        ("Que fait le comité de la ville demain? Traduis en German.", FRENCH, False),
        ("Was macht der Ausschuss der Stadt morgen früh?", "Er trifft sich, um über den Haushalt zu reden.", False),
    ],
)
def test_who_asks_for_another_language_may_get_it(
    english: Language, instruction: str, response: str, passed: bool
) -> None:
    assert english.check(Record("r", instruction, response)).passed is passed


def test_languages_that_are_named() -> None:
    named = languages_named("Translating GERMAN and French, not Thailand; translate. In Polish?")
    assert named == ["de", "fr", "pl", "translation"] and languages_named("translator, Frenchman") == []


def test_fenced_code_is_left_out(english: Language) -> None:
    german = "# Die Hauptstadt von Frankreich ist Paris, und sie liegt an der Seine im Norden des Landes."
    assert english.check(answer(f"```python\n{german}\n```")).passed
    assert english.check(answer(f"```python\n{german}")).passed
    assert not english.check(answer(german)).passed


def test_real_code_and_short_prompts_stay_and_chinese_goes(english: Language) -> None:
    code = json.loads((shared("gpteacher") / "codegen-instruct.json").read_text())
    prompts = (shared("instructionwild") / "seed_prompts_en.jsonl").read_text().splitlines()
    texts = [row["response"] for row in code[::3]] + [json.loads(line)["instruction"] for line in prompts]
    assert sum(not english.check(Record("r", text, "")).passed for text in texts) <= 0.001 * len(texts)
    chinese = (shared("instructionwild") / "seed_prompts_ch.jsonl").read_text().splitlines()
    kept = sum(english.check(Record("r", json.loads(line)["instruction"], "")).passed for line in chinese)
    assert kept <= 0.07 * len(chinese)


def test_confidence_is_the_limit() -> None:
    text = Record("r", "Hola amigo", "")
    _, score = Language("en", 0.5).detect("Hola amigo")
    assert not Language("en", score).check(text).passed
    assert Language("en", min(1.0, score + 1e-9)).check(text).passed


def test_another_language_can_be_wanted() -> None:
    german = Language("DE", 0.7)
    assert german.check(answer("")).passed is False
    assert german.check(Record("r", "Wie heißt die Hauptstadt von Frankreich?", "Sie heißt Paris.")).passed


@pytest.mark.parametrize("code", ["eng", "englich", "xx"])
def test_an_unknown_language_is_the_users_mistake(code: str) -> None:
    with pytest.raises(UserError, match=code):
        Language(code, 0.7)


def test_the_detector_never_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("network")

    monkeypatch.setattr(socket, "socket", refuse)
    assert Language("en", 0.7).check(answer("This is a plain English sentence.")).passed
