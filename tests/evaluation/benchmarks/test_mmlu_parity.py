"""MMLU as this package asks it and as lm-evaluation-harness does with its own model: the same prompts and choices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.shared_data import shared

from synthetic_instruction_tuner.chat.template import ChatTemplate
from synthetic_instruction_tuner.engines.transformers.engine import TransformersEngine
from synthetic_instruction_tuner.evaluation.benchmark_lm import BenchmarkLM
from synthetic_instruction_tuner.evaluation.benchmarks.mmlu.items import MmluItem, Questions, read_questions
from synthetic_instruction_tuner.evaluation.benchmarks.mmlu.prompts import continuations, opening
from synthetic_instruction_tuner.evaluation.benchmarks.mmlu.subjects import CATEGORY, CATEGORY_SUBJECTS

SUBJECTS = ("world_religions", "abstract_algebra")
ITEMS = 8


def written(folder: Path) -> Questions:
    """Two subjects with questions of all lengths, written as the first CSV files were."""
    for subject in SUBJECTS:
        for part, count in (("test", ITEMS), ("dev", 5)):
            (folder / part).mkdir(exist_ok=True)
            asked = [" ".join([f"What is {subject} {part} {n}"] * (1 + n % 3)) for n in range(count)]
            rows = [f'"{q}? ",{n},"a, {n}",two {n},"{n}\nlines",{"ABCD"[n % 4]}' for n, q in enumerate(asked)]
            (folder / part / f"{subject}_{part}.csv").write_text("\n".join(rows) + "\n")
    return read_questions(folder)


def harness_task(subject: str, questions: Questions, shots: int) -> Any:
    """The harness' own task of a subject, with our questions in memory in place of its download."""
    import lm_eval.tasks
    from lm_eval.api.task import ConfigurableTask

    folder = Path(lm_eval.tasks.__file__).parent / "mmlu/default"
    config = yaml.safe_load((folder / "_default_template_yaml").read_text())
    config |= yaml.safe_load((folder / f"mmlu_{subject}.yaml").read_text())
    config = {k: v for k, v in config.items() if k not in ("include", "tag", "task_alias")}

    def rows(items: Any) -> list[dict[str, Any]]:
        return [{"question": i.question, "choices": list(i.options), "answer": i.right} for i in items]

    class Documents(list[dict[str, Any]]):
        features = property(lambda self: self[0])

    class Task(ConfigurableTask):  # type: ignore[misc]
        def download(self, *_: Any, **__: Any) -> None:
            test = [item for item in questions.test if item.subject == subject]
            self.dataset = {"test": Documents(rows(test)), "dev": Documents(rows(questions.examples[subject]))}

    return Task(config=config | {"num_fewshot": shots})


def harness_likelihoods(model: Any, tokenizer: Any, questions: Questions, shots: int) -> dict[str, list[list[float]]]:
    import lm_eval
    from lm_eval.models.huggingface import HFLM

    lm = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4, device="cpu")
    tasks = {f"mmlu_{subject}": harness_task(subject, questions, shots) for subject in questions.subjects}
    found = lm_eval.evaluate(lm=lm, task_dict=tasks, bootstrap_iters=0)["samples"]
    return {
        subject: [
            [value for value, _ in sample["filtered_resps"]]
            for sample in sorted(found[f"mmlu_{subject}"], key=lambda sample: sample["doc_id"])
        ]
        for subject in questions.subjects
    }


def our_likelihoods(model: Any, tokenizer: Any, questions: Questions, shots: int) -> dict[str, list[list[float]]]:
    engine = TransformersEngine(model, tokenizer.pad_token_id or 0, batch_size=16, device="cpu")
    lm = BenchmarkLM(engine, ChatTemplate.from_tokenizer(tokenizer), tokenizer)
    found = {}
    for subject in questions.subjects:
        start = opening(subject, questions.examples[subject][:shots])
        contexts = [start + item.prompt for item in questions.test if item.subject == subject]
        found[subject] = lm.likelihoods(contexts, continuations(), chat=False)
    return found


def loaded(folder: Path) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(folder)


@pytest.fixture(params=["random_llama", "student-llama", "student-mistral", "student-qwen2"])
def model(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    """A random Llama with a byte-level tokenizer, and the embedded students."""
    if request.param == "random_llama":
        return loaded(request.getfixturevalue("random_llama"))
    import synthetic_instruction_tuner.nano

    return loaded(Path(synthetic_instruction_tuner.nano.__file__).parent / "weights" / request.param)


@pytest.mark.parametrize("shots", [0, 5])
def test_the_harness_own_model_makes_the_same_choices(model: tuple[Any, Any], shots: int, tmp_path: Path) -> None:
    questions = written(tmp_path)
    ours, theirs = (f(*model, questions, shots) for f in (our_likelihoods, harness_likelihoods))
    for subject in questions.subjects:
        assert len(ours[subject]) == ITEMS
        for mine, other in zip(ours[subject], theirs[subject], strict=True):
            assert mine == pytest.approx(other, abs=1e-4)
            assert mine.index(max(mine)) == other.index(max(other))


def test_prompts_are_those_of_the_harness_for_every_subject() -> None:
    import lm_eval.tasks

    folder = Path(lm_eval.tasks.__file__).parent / "mmlu/default"
    assert len(CATEGORY) == 57
    for category, subjects in CATEGORY_SUBJECTS.items():
        for subject in subjects:
            config = yaml.safe_load((folder / f"mmlu_{subject}.yaml").read_text())
            assert config["tag"] == f"mmlu_{category}_tasks" and config["description"] == opening(subject, ())


def test_the_published_questions_are_chosen_alike(random_llama: Path) -> None:
    found = read_questions(shared("mmlu"))
    few = Questions(tuple(i for i in found.test if i.subject == "us_foreign_policy")[:6], found.examples)
    ours, theirs = (f(*loaded(random_llama), few, 5) for f in (our_likelihoods, harness_likelihoods))
    assert ours["us_foreign_policy"] == [pytest.approx(row, abs=1e-4) for row in theirs["us_foreign_policy"]]


def test_a_question_is_written_with_letters() -> None:
    item = MmluItem("mmlu-anatomy-0", "anatomy", " Why? ", ("a", "b", "c", "d"), 1)
    assert item.prompt == "Why?\nA. a\nB. b\nC. c\nD. d\nAnswer:"
    assert opening("anatomy", [item]).endswith("about anatomy.\n\nWhy?\nA. a\nB. b\nC. c\nD. d\nAnswer: B\n\n")
