"""Toy additions, each made of the files that docs/architecture.md lists and of nothing else.

A copy of the package is edited as somebody who follows the list would edit it; the program then runs from the copy.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree, ignore_patterns

import synthetic_instruction_tuner

PACKAGE = Path(synthetic_instruction_tuner.__file__).parent
PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"

Edit = str | tuple[tuple[str, str], ...]
"""A new file's text, or pairs of what is in the file and what stands there afterwards."""


@dataclass(frozen=True)
class Addition:
    """Something that is added to the package.

    Attributes:
        section: the heading in docs/architecture.md under which its files are listed.
        placeholder: what stands for the new module's name there.
        name: the name that takes its place.
        edits: by file, what somebody writes there.
    """

    section: str
    placeholder: str
    name: str
    edits: Mapping[str, Edit]

    def listed(self) -> list[str]:
        """The files of the package that the section lists, in order."""
        text = PAGE.read_text(encoding="utf-8").split(f"## {self.section}\n")[1].split("\n## ")[0]
        steps = re.findall(r"^\d+\. `([\w/]+\.\w+)`", text, re.MULTILINE)
        return [step.replace(self.placeholder, self.name) for step in steps]


def copied_package(place: Path, *additions: Addition) -> Path:
    """Copies the package below a folder, with the additions in it; returns the folder to import from."""
    package = place / PACKAGE.name
    copytree(PACKAGE, package, ignore=ignore_patterns("__pycache__", "weights"))
    (package / "nano" / "weights").symlink_to(PACKAGE / "nano" / "weights")
    for addition in additions:
        for name, edit in addition.edits.items():
            file = package / name
            if isinstance(edit, str):
                assert not file.exists(), f"{name} is there already"
                file.write_text(edit, encoding="utf-8")
                continue
            text = file.read_text(encoding="utf-8")
            for old, new in edit:
                assert text.count(old) == 1, f"{name}: {old!r} is there {text.count(old)} times"
                text = text.replace(old, new)
            file.write_text(text, encoding="utf-8")
    return place


def run_from(source: Path, *arguments: object, code: str = "", timeout: int = 600) -> subprocess.CompletedProcess[str]:
    """Runs `sit`, or Python code, from a copied package."""
    start = ["-c", code] if code else ["-m", PACKAGE.name]
    paths = os.pathsep.join(filter(None, (str(source), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": paths, "COLUMNS": "200"}
    command = [sys.executable, *start, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment)


BENCHMARK = Addition(
    "Add a benchmark",
    "NAME",
    "toy_greeting",
    {
        "evaluation/benchmarks/toy_greeting.py": '''"""A toy: does the model answer a greeting with a short text?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from synthetic_instruction_tuner.evaluation.benchmarks.base import Benchmark, Metric, Work
from synthetic_instruction_tuner.evaluation.results import BenchmarkResult, ItemResult

if TYPE_CHECKING:
    from synthetic_instruction_tuner.config.sections.evaluate import ToyGreetingConfig
    from synthetic_instruction_tuner.evaluation.harness import EngineLM

NAMES = ("Ada", "Bo", "Cy", "Di", "Ed", "Flo")


@dataclass(frozen=True, slots=True)
class Greeting:
    """One greeting."""

    id: str
    prompt: str


def items(settings: ToyGreetingConfig) -> list[Greeting]:
    """Returns the greetings."""
    return [Greeting(f"toy-{name}", f"Hello, I am {name}. Who are you?") for name in NAMES[: settings.items]]


def evaluate(lm: EngineLM, settings: ToyGreetingConfig) -> BenchmarkResult:
    """Returns how many of the answers are short."""
    from synthetic_instruction_tuner.evaluation import harness

    chosen = items(settings)
    documents = [{"id": i.id, "messages": [{"role": "user", "content": i.prompt}]} for i in chosen]
    score = lambda document, answers: {"short": float(len(answers[0]) <= settings.most_characters)}
    task = harness.generation_task("toy_greeting", documents, {"short": "mean"}, score, temperature=0.0, max_gen_toks=8)
    found = []
    for item, sample in zip(chosen, harness.run(lm, task, chat=True), strict=True):
        scores = {"short": (float(sample["short"]),)}
        found.append(ItemResult(item.id, (item.prompt,), tuple(sample["filtered_resps"]), scores))
    return BenchmarkResult("toy_greeting", "short", tuple(found))


BENCHMARK = Benchmark(
    name="toy_greeting",
    title="Greetings: a toy",
    metrics=(Metric("short", "share of short answers", column="Greeting", random_level=0.0),),
    items=items,
    evaluate=evaluate,
    work=lambda settings: Work(settings.items, answers=1, max_new_tokens=8),
)
''',
        "config/sections/evaluate.py": (
            ('"nano_mt")', '"nano_mt", "toy_greeting")'),
            (
                "class EvaluateConfig(Section):",
                '''class ToyGreetingConfig(BenchmarkConfig):
    """Greetings."""

    most_characters: int = Field(40, ge=1, description="Longest answer that is short, in characters.")


class EvaluateConfig(Section):''',
            ),
            (
                '    @field_validator("benchmarks")',
                '    toy_greeting: ToyGreetingConfig = Field(ToyGreetingConfig(), description="A toy.")\n\n'
                '    @field_validator("benchmarks")',
            ),
        ),
    },
)

METHOD = Addition(
    "Add a training method",
    "NAME",
    "toy_queries",
    {
        "methods.py": (
            (
                "    ),\n)\n",
                """    ),
    Method(
        name="toy_queries",
        verb="queries",
        title="Toy: LoRA on the queries alone",
        label="LoRA on queries",
        color="#CC79A7",
        starts_from=None,
        trains_on="records",
        chooses_students=False,
        metrics_file="toy_queries.json",
    ),
)
""",
            ),
        ),
        "config/sections/train.py": (
            (
                "class TrainConfig(Section):",
                '''class ToyQueriesConfig(TrainerConfig):
    """LoRA on the queries alone."""

    rank: int = Field(2, ge=1, description="Rank.")


class TrainConfig(Section):''',
            ),
            (
                "    dpo: DpoConfig =",
                '    toy_queries: ToyQueriesConfig = Field(ToyQueriesConfig(), description="A toy.")\n'
                "    dpo: DpoConfig =",
            ),
        ),
        "training/toy_queries.py": '''"""A toy: LoRA on the queries alone."""

from __future__ import annotations

from typing import Any

from peft import LoraConfig, get_peft_model

from synthetic_instruction_tuner.config.sections.train import ToyQueriesConfig
from synthetic_instruction_tuner.training.supervised import Supervised


class ToyQueries(Supervised):
    """Tunes the queries alone."""

    method = "toy_queries"
    config: ToyQueriesConfig

    def add_adapter(self, base: Any, tokenizer: Any) -> Any:
        """Returns the base model with fresh LoRA matrices."""
        return get_peft_model(base, LoraConfig(r=self.config.rank, target_modules=["q_proj"], task_type="CAUSAL_LM"))
''',
        "training/tuners.py": (
            (
                '        case "dpo":',
                """        case "toy_queries":
            from synthetic_instruction_tuner.training.toy_queries import ToyQueries

            return ToyQueries(settings.toy_queries, *place).train(student, data, output, on_step)
        case "dpo":""",
            ),
        ),
    },
)

RULE = Addition(
    "Add a filter rule",
    "NAME",
    "toy_exclamations",
    {
        "filtering/rules/toy_exclamations.py": '''"""A toy rule: no response full of exclamation marks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from synthetic_instruction_tuner.filtering.rule import TextRule, Verdict
from synthetic_instruction_tuner.records import Record


@dataclass(frozen=True)
class ToyExclamations(TextRule):
    """The response must have at most `most` exclamation marks."""

    most: int
    name: ClassVar[str] = "toy_exclamations"

    def limits(self) -> dict[str, Any]:
        """Returns the limit."""
        return {"toy_exclamations": self.most}

    def signal(self, record: Record) -> int:
        """Returns the number of exclamation marks."""
        return record.response.count("!")

    def decide(self, signal: int) -> Verdict:
        """Compares it with the limit."""
        passed = signal <= self.most
        return Verdict(self.name, passed, signal, self.most, "" if passed else f"{signal} exclamation marks")
''',
        "config/sections/filter.py": (
            (
                "    drop_truncated: bool = Field(",
                '    toy_exclamations: int = Field(100, ge=0, description="Most exclamation marks.")\n'
                "    drop_truncated: bool = Field(",
            ),
        ),
        "filtering/quality_filter.py": (
            (
                "            WordRepetition(config.max_word_repeats),",
                "            ToyExclamations(config.toy_exclamations),\n"
                "            WordRepetition(config.max_word_repeats),",
            ),
            (
                "from synthetic_instruction_tuner.records import Record\n",
                "from synthetic_instruction_tuner.filtering.rules.toy_exclamations import ToyExclamations\n"
                "from synthetic_instruction_tuner.records import Record\n",
            ),
        ),
    },
)

ENGINE = Addition(
    "Add an engine",
    "NAME",
    "toy_echo",
    {
        "engines/toy_echo.py": '''"""A toy engine: writes the prompt again."""

from __future__ import annotations

from collections.abc import Sequence

from synthetic_instruction_tuner.engines.base import Capabilities, Completion, Done, Request


class ToyEcho:
    """Writes the prompt again."""

    capabilities = Capabilities(seeded=True, batch_free=True, exact_stops=True, scores=True)

    def generate(self, requests: Sequence[Request], done: Done | None = None) -> list[Completion]:
        """Returns each prompt, cut at the limit."""
        return [Completion(request.prompt_ids[: request.max_new_tokens], "length") for request in requests]

    def loglikelihood(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[tuple[float, bool]]:
        """Returns as many nats as there are tokens."""
        return [(-float(len(continuation)), False) for _, continuation in pairs]

    def close(self) -> None:
        """Frees nothing."""
''',
        "config/sections/engine.py": (
            (
                'Literal["auto", "transformers", "vllm", "server"]',
                'Literal["auto", "transformers", "vllm", "server", "toy"]',
            ),
        ),
        "engines/choice.py": (
            (
                'Kind = Literal["transformers", "vllm", "server"]',
                'Kind = Literal["transformers", "vllm", "server", "toy"]',
            ),
            (
                '    if config.kind == "transformers":\n',
                '    if config.kind == "toy":\n        return EngineChoice("toy", "set in engine.kind")\n'
                '    if config.kind == "transformers":\n',
            ),
        ),
        "engines/opening.py": (
            ('"server": _open_server,\n', '"server": _open_server,\n        "toy": _open_toy,\n'),
            (
                "@contextmanager\ndef _open_vllm(",
                """@contextmanager
def _open_toy(
    model: ModelConfig, config: EngineConfig, hardware: Hardware, adapter: Path | None
) -> Iterator[tuple[Engine, ChatTemplate]]:
    from synthetic_instruction_tuner.engines.toy_echo import ToyEcho

    yield ToyEcho(), template_of(model)


@contextmanager
def _open_vllm(""",
            ),
        ),
    },
)

REPORT_FIELD = Addition(
    "Add a field to the report",
    "NAME",
    "generated",
    {
        "run/stages/report.py": (
            (
                "        hardware=_hardware(ctx),\n",
                '        hardware=_hardware(ctx),\n        generated=ctx.store.stage("generate").rows_out,\n',
            ),
        ),
        "reporting/report_data.py": (
            ("    stages: Sequence[Any] = ()\n", "    stages: Sequence[Any] = ()\n    generated: int = 0\n"),
        ),
        "reporting/templates/report_template.md": (
            (
                '{{ number.heading(say("1 Introduction")) }}\n',
                '{{ number.heading(say("1 Introduction")) }}\n\n'
                '{{ say("Toy: {count} records were generated.", count=data.generated) }}\n',
            ),
        ),
        "reporting/language/ko.yaml": (
            (
                "  # report_template.md\n",
                "  # report_template.md\n"
                '  "Toy: {count} records were generated.": "장난감: 레코드 {count}개를 만들었다."\n',
            ),
        ),
    },
)
