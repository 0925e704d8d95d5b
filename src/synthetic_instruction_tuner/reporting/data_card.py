"""The data card: a README.md beside the data, in the form of the Hub, made from the run's facts alone.

With it the folder is a data set: ``datasets.load_dataset("runs/nano/data", "preference")``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import yaml

from synthetic_instruction_tuner import escaping
from synthetic_instruction_tuner.escaping import fenced, markdown
from synthetic_instruction_tuner.reporting.diversity import Diversity
from synthetic_instruction_tuner.reporting.language.translation import retold, say, term
from synthetic_instruction_tuner.reporting.licenses import DataLicense, strictest
from synthetic_instruction_tuner.reporting.model_facts import ModelFacts
from synthetic_instruction_tuner.reporting.rendering import shortened

SIZES = ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"), (1e7, "1M<n<10M"))
LARGEST = "10M<n<100M"


@dataclass(frozen=True, slots=True)
class DataSet:
    """One part of the data, which loads by its name.

    Attributes:
        name: its name.
        file: its Parquet file, below the card's folder.
        rows: how many rows it has.
        what: what it is, for people.
    """

    name: str
    file: str
    rows: int
    what: str


@dataclass(frozen=True, slots=True)
class Source:
    """A file of the user's own that a run has read.

    Attributes:
        kind: records, prompts or pairs.
        file: its name without folder, or the data set's.
        hash: of its content; None for a data set of the Hub.
        rows: how many rows were read.
        malformed: how many rows were nothing of that kind.
    """

    kind: str
    file: str
    hash: str | None
    rows: int
    malformed: int = 0


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a card is made from.

    Attributes:
        title: the data's name.
        sets: the parts of the data; the first is what loads when none is named.
        models: the models that wrote or chose.
        seed: the run's.
        language: ISO 639-1 code; empty when none was asked for.
        filter_report, preference_report: the two reports' JSON values.
        diversity: of the filtered records.
        samples: a few filtered records.
        on_policy: where the answers of preference pairs are from; see the setting.
        sources: files of the user's own that the data are from.
        source_license: their license; None when it is not known.
        magpie: whether a chat model wrote instructions.
        missing: what is not among the data yet, a sentence each.
        repository: the id that others load the data by; empty where nobody knows it yet.
    """

    title: str
    sets: Sequence[DataSet]
    models: Sequence[ModelFacts]
    seed: int
    language: str
    filter_report: Mapping[str, Any]
    preference_report: Mapping[str, Any]
    diversity: Diversity | None
    samples: Sequence[Mapping[str, Any]] = ()
    on_policy: str = "off"
    sources: Sequence[Source] = ()
    source_license: str | None = None
    magpie: bool = True
    missing: Sequence[str] = ()
    repository: str = ""
    license: DataLicense = field(init=False)

    def __post_init__(self) -> None:
        """Computes the license from the models' and that of the user's own files."""
        licenses = [model.license for model in self.models] + [self.source_license] * bool(self.sources)
        object.__setattr__(self, "license", strictest(licenses))


def data_card(facts: CardFacts) -> str:
    """Returns the card as Markdown with YAML metadata."""
    import jinja2

    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {
        "markdown": markdown,
        "shortened": shortened,
        "json": lambda value: json.dumps(value, ensure_ascii=False),
        "fenced": fenced,
        "count": lambda value: f"{value:,}",
        "percent": lambda value: "n/a" if value is None else f"{value:.1%}",
        "number": lambda value: "n/a" if value is None else f"{value:.3g}",
    }
    environment.globals |= {"say": say, "term": term, "retold": retold}
    template = resources.files(__package__).joinpath("templates/data_card.md").read_text(encoding="utf-8")
    unknown = [model.name for model in facts.models if strictest([model.license]).kind == "unknown"]
    if strictest([facts.source_license]).kind == "unknown":
        unknown += dict.fromkeys(source.file for source in facts.sources)
    body = environment.from_string(template).render(facts=facts, license=facts.license, unknown=unknown)
    header = yaml.safe_dump(escaping.metadata(metadata(facts)), sort_keys=False, allow_unicode=True)
    return f"---\n{header}---\n\n{body.strip()}\n"


def metadata(facts: CardFacts) -> dict[str, Any]:
    """Returns the card's metadata, as the Hub wants it."""
    rows = sum(part.rows for part in facts.sets)
    found: dict[str, Any] = {"pretty_name": facts.title}
    if facts.language:
        found["language"] = [facts.language]
    found |= facts.license.metadata()
    written = facts.magpie or any(source.kind == "prompts" for source in facts.sources)
    creators = ["machine-generated"] * bool(facts.models or not facts.sources) + ["other"] * bool(facts.sources)
    found |= {
        "task_categories": ["text-generation"],
        "tags": ["synthetic"] * written + ["instruction-tuning", "preference", "dpo"] + ["magpie"] * facts.magpie,
        "size_categories": [next((name for limit, name in SIZES if rows < limit), LARGEST)],
        "annotations_creators": creators,
        "language_creators": creators,
        "configs": [
            {"config_name": part.name, "data_files": [{"split": "train", "path": part.file}]}
            | ({"default": True} if part is facts.sets[0] else {})
            for part in facts.sets
        ],
    }
    return found
