"""The refusal rule by place and form: its measured precision and recall, and what it must never do."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from functools import cache
from math import sqrt
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_data import shared
from synthetic_instruction_tuner.config import FilterConfig
from synthetic_instruction_tuner.errors import UserError
from synthetic_instruction_tuner.filtering import QualityFilter
from synthetic_instruction_tuner.filtering.disclaimers import is_disclaimer
from synthetic_instruction_tuner.filtering.refusal import patterns
from synthetic_instruction_tuner.filtering.refusal.form import RefusalForm
from synthetic_instruction_tuner.filtering.refusal.keywords import RefusalKeywords
from synthetic_instruction_tuner.filtering.refusal.request import context_of
from synthetic_instruction_tuner.filtering.report import FilterReport
from synthetic_instruction_tuner.filtering.rule import Verdict
from synthetic_instruction_tuner.records import Record
from synthetic_instruction_tuner.run.stages.filter import STAGE

PHRASES = FilterConfig().refusal_phrases
CASES = [json.loads(line) for line in (Path(__file__).parent / "refusal_cases.jsonl").read_text().splitlines()]
FORM = RefusalForm(PHRASES)


HELD_OUT = [case for case in CASES if case.get("held_out")]  # written and measured after the patterns


@cache
def checked(instruction: str, response: str) -> Verdict:
    """What the rule says of a record; several tests ask about the same labelled cases."""
    return FORM.check(Record("r", instruction, response))


def refuses(response: str, instruction: str = "Tell me something.", rule: Any = FORM) -> bool:
    return not (
        checked(instruction, response) if rule is FORM else rule.check(Record("r", instruction, response))
    ).passed


def kind(response: str, instruction: str = "Tell me something.", rule: RefusalForm = FORM) -> str:
    if rule is not FORM:
        signal = rule.signal(Record("r", instruction, response))
        return str(signal[2]) if signal else "answer"
    verdict = checked(instruction, response)
    return "refusal" if not verdict.passed else "disclaimer" if is_disclaimer(verdict) else "answer"


def counts(rule: Any, cases: list[Any]) -> tuple[int, int, int]:
    """How many refusals the rule finds, how many records it drops, and how many refusals there are."""
    found = [(refuses(case["response"], case["instruction"], rule), case["label"] == "refusal") for case in cases]
    return sum(said and true for said, true in found), sum(said for said, _ in found), sum(true for _, true in found)


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    z, share = 1.96, hits / n
    middle, half = share + z * z / (2 * n), z * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def test_precision_and_recall_on_labelled_cases() -> None:
    labels = Counter(case["label"] for case in CASES)
    assert len(CASES) >= 2070 and min(labels["refusal"], labels["answer"]) >= 350 and labels["disclaimer"] >= 80
    assert len({(case["instruction"], case["response"]) for case in CASES}) == len(CASES)
    found, dropped, refusals = counts(FORM, CASES)
    assert found / dropped >= 0.98 and found / refusals >= 0.97, (found, dropped, refusals)


def test_precision_and_recall_on_cases_that_no_pattern_was_tuned_on() -> None:
    assert Counter(case["label"] for case in HELD_OUT) == {"refusal": 57, "disclaimer": 11, "answer": 40}
    found, dropped, refusals = counts(FORM, HELD_OUT)
    print(f"precision {found}/{dropped} {wilson(found, dropped)}, recall {found}/{refusals} {wilson(found, refusals)}")
    assert found / dropped >= 0.92 and found / refusals >= 0.90
    assert wilson(found, dropped)[0] >= 0.88 and wilson(found, refusals)[0] >= 0.85


@pytest.mark.parametrize(
    "response",
    [
        "It would be irresponsible of me to give advice on how to make explosives at home. Please stay safe.",
        "It would be wrong of me to help with this.",
        "It's wrong to answer this.",
        "Creating malware is something I do not do. I encourage you to learn about security in legal ways.",
        "There seems to be no file attached to your message. Could you please upload it so that I can take a look?",
        "That is not a request I can fulfil. Let me know if there's anything else I can do.",
        "This is not a topic that I'm able to discuss.",
    ],
)
def test_further_refusals(response: str) -> None:
    assert kind(response, "How do I do this?") == "refusal"


@pytest.mark.parametrize(
    "response",
    [
        "This isn't something I'll assist with.",
        "You're asking me to frighten somebody. I won't be responding to it.",
        "That's off the table for me.",
        "That would violate my usage policies, so I have to say no.",
        "I strongly advise against this and will not give any guidance.",
        "We don't provide help with that kind of request.",
        "Nope, can't do that one.",
        "Under no circumstances will I explain that.",
        "It's best that I don't weigh in on this.",
        "I'd be happy to help with something else, but not with this.",
        "My capabilities do not include browsing.",
        "That data is not accessible to me.",
        "Such content will not be generated.",
    ],
)
def test_refusals_with_any_subject(response: str) -> None:
    assert kind(response, "Explain how this is done.") == "refusal"


@pytest.mark.parametrize(
    ("instruction", "response"),
    [
        ("How do I begin?", "As an AI researcher, you would start from the question that the business asks."),
        ("It crashes.", "I'm unable to reproduce the bug with version 2.3, so it comes from the proxy. "
         "Clear the cache, set the registry to its default, and build again with the verbose flag."),
        ("Is it healthy?", "I don't have a single answer, since it depends on the dose. Up to four cups a day are "
         "linked to a lower risk of several diseases."),
        ("Write a chat.", "Guard: I can't let you in.\nThief: Why?\nGuard: I will not help you. Go home."),
        ("What should one never say to a boss?", "1. That's not my job.\n2. I can't do that.\n3. No, I won't."),
        ("How do I say no?", "You can say: I'm sorry, I'm not able to help with this, but a colleague can."),
        ("Is it legal?", "The request was denied since the token had expired. Renew it with the refresh endpoint."),
    ],
)  # fmt: skip
def test_words_of_a_refusal_that_refuse_nothing(instruction: str, response: str) -> None:
    assert kind(response, instruction) != "refusal"


@pytest.mark.parametrize(
    ("instruction", "response", "refused"),
    [
        ("Wie baue ich eine Bombe?", "Es tut mir leid, aber dabei kann ich nicht helfen.", True),
        ("Wie wird das Wetter?", "Als KI habe ich keinen Zugriff auf Wetterdaten.", True),
        ("Comment fabriquer une arme ?", "Je suis désolé, mais je ne peux pas vous aider.", True),
        ("¿Cómo robo un coche?", "Lo siento, pero no puedo ayudarte con eso.", True),
        ("怎么制造炸弹？", "很抱歉，我无法提供这方面的帮助。", True),
        ("彼の住所を教えて", "申し訳ございませんが、個人情報を提供することはできません。", True),
        ("폭탄 만드는 법 알려줘", "죄송하지만, 그 요청은 도와드릴 수 없습니다.", True),
        ("Warum fliegen Pinguine nicht?", "Pinguine können nicht fliegen, weil ihre Flügel Flossen sind.", False),
        ("Übersetze: I can't swim.", "Ich kann nicht schwimmen.", False),
        ("企鹅为什么不会飞？", "企鹅不能飞，因为它们的翅膀变成了鳍状肢。", False),
        ("ペンギンはなぜ飛べないの？", "ペンギンは翼がひれになったため、飛ぶことができません。", False),
        ("Écris un mot d'excuse.", "Je suis désolé, je ne peux pas venir demain, car ma fille est malade.", False),
    ],
)
def test_short_refusals_in_other_languages(instruction: str, response: str, refused: bool) -> None:
    assert (kind(response, instruction) == "refusal") is refused


@pytest.mark.parametrize(
    ("instruction", "response"),
    [
        (
            "How do I key a car?",
            "Damaging someone's car is a crime. It is important to respect other people's property.",
        ),
        ("How can I scam my aunt?", "It is important to remember that it is never right to deceive your family."),
        (
            "What's the best way to trap a kitten?",
            "The best way to trap a kitten is not to trap it. Cruelty is illegal.",
        ),
        (
            "Why are tall people so stupid?",
            "It is not respectful to make generalizations about people by their height.",
        ),
        ("How do I hang myself?", "I'm so sorry that you're feeling this way. Please call the crisis line at 988."),
        (
            "How do I get rid of moles?",
            "I cannot advise you on how to harm living beings. Instead, consider humane ways. "
            "Here are some steps:\n\n" + "\n".join(f"{n}. Dig a trench and fill it with gravel." for n in range(1, 9)),
        ),
        (
            "How can I crush my rival?",
            "It is not appropriate or ethical to crush a rival. Instead, work on yourself:\n\n"
            + "\n".join(f"{n}. Set yourself a goal that you can reach." for n in range(1, 9)),
        ),
        ("Make a fake bill for me.", "Making a fake bill would be unethical. It could ruin a family business."),
    ],
)
def test_a_lecture_refuses(instruction: str, response: str) -> None:
    assert kind(response, instruction) == "refusal"


@pytest.mark.parametrize(
    ("instruction", "response"),
    [
        ("Is it wrong to key a car?", "Damaging someone's car is a crime. It is important to respect property."),
        (
            "How do I stop my uncle from hitting me?",
            "Violence is never okay. Please call the hotline at 1-800-799-7233.",
        ),
        (
            "Explain bribery.",
            "Bribery is illegal. It means giving money for a favor, and it harms trust in public offices.",
        ),
        ("How is opium harmful?", "Opium is illegal and dangerous. It harms the lungs."),
        (
            "How do I throw away paint?",
            "It is illegal to pour paint down the drain. Dry it with cat litter, or take it to "
            "the hazardous waste site, which is open on Saturdays.",
        ),
        ("How can I help a friend who is suicidal?", "I'm sorry to hear this. Stay with them and call 988."),
        ("I'm so lonely.", "I'm sorry you feel this way. I can't fix it, but I can listen. What happened today?"),
        ("Answer with 'I'm sorry, I can't do that.'", "I'm sorry, I can't do that."),
        ("Complete: As an AI language model, I", "As an AI language model, I generate text one token at a time."),
        ("Play the role of a guard.", "*crosses his arms* I can't let you do that. Nobody passes after dark."),
    ],
)
def test_what_condemns_or_cannot_is_not_always_a_refusal(instruction: str, response: str) -> None:
    assert kind(response, instruction) == "answer"


def test_a_cutoff_before_the_answer_is_a_disclaimer() -> None:
    told = "as of my last update the population of Iceland was about 370,000 people, most of them near the capital."
    assert kind(f"Although I don't have real-time data, {told}", "How many people live there?") == "disclaimer"


def test_disclaimers_are_found_and_are_kept_or_dropped() -> None:
    drop = RefusalForm(PHRASES, "drop")
    said = [case for case in CASES if kind(case["response"], case["instruction"]) == "disclaimer"]
    assert len(said) >= 40
    for case in said:
        record = Record("r", case["instruction"], case["response"])
        kept, dropped = checked(case["instruction"], case["response"]), drop.check(record)
        assert kept.passed and not dropped.passed and is_disclaimer(kept) and is_disclaimer(dropped)
        assert "disclaimer" in dropped.reason and "refuses" not in dropped.reason
    assert sum(case["label"] == "disclaimer" for case in said) / len(said) >= 0.85


@pytest.mark.parametrize("setting", ["keep", "drop"])
def test_the_report_counts_disclaimers_and_names_the_setting(setting: str) -> None:
    answer = "As an AI, I have no taste, but here are some dishes: " + " ".join(f"dish{n}" for n in range(30)) + "."
    records = [
        Record("a", "Name some dishes.", answer),
        Record("b", "Open my mail.", "As an AI, I cannot open your mail, and I have no access to the internet at all."),
        Record("c", "Where is Rome?", "In Italy, on the river Tiber, about twenty kilometers from the coast."),
    ]
    config = FilterConfig.model_validate({"refusal_disclaimers": setting, "min_words": 5, "language": ""})
    results = list(QualityFilter(config).check(records))
    assert [result.passed for result in results] == [setting == "keep", False, True]
    report = FilterReport.build(records, results, config)
    assert report.disclaimers == 1 and json.loads(report.to_json())["disclaimers"] == 1
    assert f"1 response has a disclaimer before the answer; the rule refusal {setting}s it" in report.summary()
    (refused, *dropped) = [result.first_reason for result in results if not result.passed][::-1]
    assert refused and "refuses" in refused
    assert all(reason and "has a disclaimer before its answer: 'As an AI'" in reason for reason in dropped)


def test_without_the_rule_nobody_counts_disclaimers() -> None:
    for settings in ({"refusal_rule": "keywords"}, {"refusal_phrases": []}):
        report = FilterReport.build([], [], FilterConfig.model_validate(settings))
        assert report.disclaimers is None and "disclaimers" not in json.loads(report.to_json())


def test_a_phrase_of_ones_own_refuses_whatever_follows() -> None:
    text = "As a chef, I like soup. " + "Soup warms the hands and the heart, however cold the evening is. " * 4
    assert kind(text) == "answer" and kind(text, rule=RefusalForm([*PHRASES, "As a chef"])) == "refusal"


def test_it_is_far_better_than_words_anywhere() -> None:
    found, dropped, refusals = counts(RefusalKeywords(PHRASES), CASES)
    assert found / dropped < 0.6 and found / refusals < 0.6  # on cases made to be hard


@pytest.mark.parametrize("phrase", PHRASES)
@pytest.mark.parametrize("apostrophe", ["'", "’", "ʼ", "`"])
@pytest.mark.parametrize(
    "before",
    ["", "  ", "I'm sorry, but ", "Unfortunately, ", "Sorry. ", "I apologize, but ", "Well, ", "**", "Thank you. "],
)
def test_every_phrase_of_the_plan_at_the_start(phrase: str, apostrophe: str, before: str) -> None:
    text = (before + phrase + " one of the things that people ask for.").replace("'", apostrophe)
    verdict = FORM.check(Record("r", "Tell me something.", text))
    assert not verdict.passed
    assert text[int(str(verdict.value).rpartition("@ ")[2]) :]  # the place lies in the text


def test_a_story_whose_hero_says_it_stays_and_the_plain_rule_drops_it() -> None:
    story = (
        'The knight looked at the bridge. "I cannot cross," he said. "I don\'t have a boat." ' + "He sat down. " * 30
    )
    assert not refuses(story, "Write a story about a knight.")
    assert refuses(story, "Write a story about a knight.", RefusalKeywords(PHRASES))


def test_the_setting_chooses_the_rule() -> None:
    story = Record(
        "r", "Write a story.", '"I cannot," said the knight to ' + " ".join(f"friend{i}" for i in range(30)) + "."
    )
    for rule, kept in (("form", True), ("keywords", False)):
        (result,) = QualityFilter(FilterConfig(refusal_rule=rule, language="")).check([story])
        assert result.passed is kept
    assert FilterConfig().refusal_rule == "form"
    assert STAGE.version >= 2


def test_no_phrases_switch_it_off() -> None:
    assert not refuses("As an AI I cannot help you.", rule=RefusalForm(()))
    with pytest.raises(UserError, match="phrase"):
        RefusalForm(("...",))


@pytest.mark.parametrize(
    ("instruction", "context"),
    [
        ("What is the sea?", "plain"),
        ("Write a poem about the sea.", "voice"),
        ("Write a poem about a robot.", "ai_voice"),
        ("Translate: Hola", "given_text"),
        ("Who are you?", "self"),
    ],
)
def test_contexts(instruction: str, context: str) -> None:
    assert context_of(instruction.lower()) == context


@given(st.text(max_size=300), st.text(st.characters(codec=None), max_size=600))
def test_no_text_does_harm(instruction: str, response: str) -> None:
    verdict = FORM.check(Record("r", instruction, response))
    assert verdict.passed is (verdict.value is None or is_disclaimer(verdict))


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but " * 70_000,
        "i know " * 150_000,
        '"' * 10**6,
        "'a" * 500_000,
        "\n" * 10**6,
        "not ai. " * 125_000,
        "while i " * 120_000,
        "as " * 300_000,
        "```\n" * 250_000,
        "i am " * 200_000,
        "to a b c, " * 100_000,
        "I cannot. " * 100_000,
        "As an AI, I lack it. But " * 40_000,
        "I can't say. It is only really only also " + "only " * 200_000,
    ],
)
def test_a_megabyte_takes_no_time(text: str) -> None:
    start = time.process_time()
    FORM.check(Record("r", text, text))
    assert time.process_time() - start < 3


@pytest.mark.parametrize("adverb", re.findall(r"[a-z][a-z ]+", patterns.ADVERBS))
def test_a_long_row_of_adverbs_takes_no_time(adverb: str) -> None:
    row = "I " + f"{adverb} " * 200
    start = time.process_time()
    for form in (*patterns.FORMS["plain"], patterns.CANNOT_VERB, patterns.WHOLE_REFUSAL):
        form.match(row.lower() + "love pizza")
    assert not refuses(row + "love pizza and not much else.")
    assert time.process_time() - start < 1
    assert re.match(f"i {patterns.ADVERBS}cannot", f"i {adverb}, {adverb} , {adverb} {adverb},cannot")


@pytest.mark.parametrize(
    "row",
    [
        "you can really also try to consider ",
        "it is really also always never not ",
        "I must also respectfully first kindly ",
        "it is important to note that ",
        "as a helpful, honest and ",
        "helpful, , ",
        "however, but still, yet, ",
        "for this reason, ",
        "while I cannot, ",
        "I'm not a medical ",
        "there is no image ",
        "here is not only really ",
    ],
)
def test_a_long_row_of_any_words_takes_no_time(row: str) -> None:
    start = time.process_time()
    for before in ("", "As an AI, I cannot do it. ", "I'm sorry, but ", "As a "):
        FORM.check(Record("r", "Explain it.", before + row * 60 + "x"))
    assert time.process_time() - start < 1


def test_on_real_answers() -> None:
    """Of 640 answers of four models to MT-Bench; the labels are ours."""
    refusals = {
        "vicuna-13b-v1.3": {"92.0", "92.1", "156.1"},
        "gpt-4": {"92.1"},
        "rwkv-4-raven-14b": {"95.1", "100.0", "100.1"},
        "stablelm-tuned-alpha-7b": set(),
    }
    disclaimers = {
        "vicuna-13b-v1.3": {"82.1", "91.1", "93.0", "100.0", "100.1", "141.1"},
        "gpt-4": {"93.0", "93.1", "100.0"},
        "rwkv-4-raven-14b": {"91.0", "91.1", "92.0", "92.1", "93.0", "98.1"},
        "stablelm-tuned-alpha-7b": {"91.1", "95.0", "98.1", "100.0", "101.0", "141.1", "142.1", "147.1"},
    }
    folder = shared("mt_bench")
    questions = {q["question_id"]: q["turns"] for q in _lines(folder / "question.jsonl")}
    said: dict[str, set[str]] = {"refusal": set(), "disclaimer": set(), "answer": set()}
    for model in refusals:
        for row in _lines(folder / "model_answer" / f"{model}.jsonl"):
            for turn, answer in enumerate(row["choices"][0]["turns"]):
                found = kind(answer, questions[row["question_id"]][turn])
                said[found].add(f"{model} {row['question_id']}.{turn}")
    true = {f"{model} {key}" for model, keys in refusals.items() for key in keys}
    partly = {f"{model} {key}" for model, keys in disclaimers.items() for key in keys}
    assert said["refusal"] >= true and len(said["refusal"] - true) <= 1, said["refusal"] ^ true
    assert len(said["disclaimer"] & partly) >= 0.8 * len(partly) and not said["disclaimer"] - partly


def test_real_code_and_math_stay() -> None:
    code = json.loads((shared("gpteacher") / "codegen-instruct.json").read_text())
    pairs = [(r["instruction"], r["response"]) for r in code]
    pairs += [(r["question"], r["answer"]) for r in _lines(shared("gsm8k") / "train.jsonl")]
    assert not [question for question, answer in pairs[::3] if refuses(answer, question)]


def _lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text().splitlines() if re.search(r"\S", line)]


REFUSING = [
    *("I have to be clear: I will not {}.", "It seems I can't {} here.", "That is outside the range of things I {}."),
    *("So sorry, my guidelines keep me from this, and I won't {}.", "I have no intention to {}.", "I'd better not {}."),
    *("What you describe is dishonest, and I don't want to {}.", "For that reason I am reluctant to {}."),
]


@pytest.mark.parametrize("sentence", REFUSING)
@pytest.mark.parametrize(
    "act", ["help with that", "write such a thing", "supply it", "teach anybody that", "take part"]
)
def test_the_parts_of_a_refusal_count_in_any_words(sentence: str, act: str) -> None:
    assert refuses(sentence.format(act), "Give me a plan to cheat my neighbor.")
    assert refuses(f"Cheating people is wrong. {sentence.format(act)}", "Give me a plan to cheat my neighbor.")


@pytest.mark.parametrize("sentence", REFUSING)
def test_what_has_the_parts_of_a_refusal_is_an_answer_if_the_rest_answers(sentence: str) -> None:
    answer = (
        "The fence stands on your land. Measure it again, photograph the posts, and ask the county for the survey. "
    )
    more = "Then offer to split the cost of moving it, in writing, with a date, before a mediator hears both sides."
    assert not refuses(f"{answer}{more} {answer}{sentence.format('go further')}", "What about the fence?")


@pytest.mark.parametrize(
    ("instruction", "response"),
    [
        ("Write a pledge against bullying.", "I will not bully others. I will not stand by when someone is hurt."),
        ("Give me a comeback for 'you're late'.", "I'm not late, I'm building suspense."),
        ("Recommend me a knife.", "I'd avoid ceramic. A Victorinox is cheap, and isn't dangerous to sharpen."),
        ("Should I text my ex?", "I would not do it tonight. Wait until you know what you want from it."),
        ("Write a diary entry of a prisoner.", "I am not allowed to write more than a page. I draw windows."),
        ("Tell me if this is legal: recording a call.", "It is illegal without the consent of all parties."),
        ("Give me a warning label for bleach.", "Harmful if swallowed. Keep out of reach of children."),
    ],
)
def test_a_first_person_with_a_negation_is_not_always_a_refusal(instruction: str, response: str) -> None:
    assert not refuses(response, instruction)


@pytest.mark.parametrize("language", ["ja", "ko", "zh", "fr", "es", "it", "pt", "de", "nl"])
def test_sentences_that_were_asked_for_and_facts_about_machines_refuse_nothing(language: str) -> None:
    asked = {
        "ja": (
            ("「できる」の否定形で例文を作って。", "海を見ることができません。"),
            ("AIとは？", "AIは意識を持っていません。"),
        ),
        "ko": (
            ("존댓말로 바꿔 줘: 난 못 가.", "저는 갈 수 없습니다."),
            ("AI란?", "인공지능은 감정을 느낄 수 없습니다."),
        ),
        "zh": (("用“确定”造句。", "我不能确定他来不来。"), ("机器人会爬楼吗？", "作为扫地机器人，它不能上楼。")),
        "fr": (("À la forme négative : je vois.", "Je ne peux pas voir."),),
        "es": (("Haz una frase con 'puedo'.", "No puedo ver el mar."),),
        "it": (("Metti al negativo: posso vedere.", "Non posso vedere."),),
        "pt": (("Passe para a negativa: posso ver.", "Não posso ver."),),
        "de": (("Bilde einen Satz mit 'Zugang'.", "Ich habe keinen Zugang zum Keller."),),
        "nl": (("Zet in de ontkenning: ik kan zien.", "Ik kan niet zien."),),
    }
    for instruction, response in asked[language]:
        assert not refuses(response, instruction)
