"""Stage generate: domains, sampling, and how many records are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from synthetic_instruction_tuner.config import yaml_text
from synthetic_instruction_tuner.config.languages import language_name
from synthetic_instruction_tuner.config.messages import nearest
from synthetic_instruction_tuner.config.sections.section import Section
from synthetic_instruction_tuner.config.text_files import read_text

LINE_END = re.compile(r"\r\n|[\r\n]")  # Unicode's other line breaks are part of a topic


@cache
def ready_made() -> Mapping[str, dict[str, Any]]:
    """Returns the packaged domains' settings by name."""
    text = (resources.files(__package__) / "domains.yaml").read_text(encoding="utf-8")
    return {name: dict(values) for name, values in yaml_text.read(text).value.items()}


class SamplingConfig(Section):
    """How tokens are drawn."""

    temperature: float = Field(1.0, ge=0, le=100, description="0 is greedy.")
    top_p: float = Field(1.0, gt=0, le=1, description="Nucleus sampling; 1 samples from the whole distribution.")
    max_new_tokens: int = Field(512, ge=1, le=1_000_000, description="Maximum length, in tokens.")


class SamplingChange(Section):
    """A domain's own sampling; values that are not set are the general ones."""

    temperature: float | None = Field(None, ge=0, le=100, description="0 is greedy.")
    top_p: float | None = Field(None, gt=0, le=1, description="Nucleus sampling.")
    max_new_tokens: int | None = Field(None, ge=1, le=1_000_000, description="Maximum length, in tokens.")


class DomainConfig(Section):
    """A domain: a system prompt that steers what the generator asks about."""

    system: str = Field(description="The system prompt; optional for a ready-made domain.")
    share: float = Field(1.0, gt=0, description="Relative share of the records.")
    language: str = Field("", description="Language of its records, as generate.language.")
    topics: tuple[str, ...] = Field((), description="Seed topics, instead of generate.topics.")
    instruction: SamplingChange = Field(SamplingChange(), description="Sampling of its instructions.")
    response: SamplingChange = Field(SamplingChange(), description="Sampling of its responses.")

    _topics_file = field_validator("topics", mode="before")(lambda value: _lines(value))
    _language_known = field_validator("language")(lambda value: _known_language(value))


class GenerateConfig(Section):
    """Magpie: a chat model writes instructions, then answers them."""

    count: int = Field(1500, ge=1, description="Pairs to generate; with until_kept, at most this many.")
    until_kept: int | None = Field(
        None,
        ge=1,
        description="Generate until this many records pass the filter, and keep as many; domains keep their shares.",
    )
    exhausted_below: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="With until_kept: stop early when the pass rate of the latest records falls below this.",
    )
    patience: int = Field(
        256, ge=1, description="Number of latest records (per domain) that this pass rate is computed over."
    )
    instruction: SamplingConfig = Field(SamplingConfig(), description="Sampling of instructions.")
    response: SamplingConfig = Field(SamplingConfig(temperature=0.7), description="Sampling of responses.")
    batch: int = Field(
        128, ge=1, description="Pairs committed to the store at once; at most one batch is lost on a crash."
    )
    turns: int = Field(
        1, ge=1, le=100, description="User turns per conversation; the last one is the record's instruction."
    )
    language: str = Field("", description="Language to write in, by code or name; empty: any.")
    topics: tuple[str, ...] = Field((), description="Seed topics, used in turn: a list, or a file with one per line.")
    thinking: bool = Field(False, description="Let a thinking model think first; its thoughts are stored separately.")
    keep_system: bool = Field(
        True,
        description="Keep the steering system prompt for the response and in the record; otherwise it only steers.",
    )
    min_healthy: float = Field(
        0.5, ge=0, le=1, description="Stop the run if less than this share of the first 16 instructions is usable."
    )
    domains: dict[str, DomainConfig] = Field(
        default_factory=dict,
        description="Domains by name, or a list of ready-made ones; without any, the model's own mix.",
    )
    undirected_share: float = Field(
        1.0, ge=0, description="Share of records without a domain, relative to the domains' shares."
    )

    _topics_file = field_validator("topics", mode="before")(lambda value: _lines(value))
    _language_known = field_validator("language")(lambda value: _known_language(value))

    @field_validator("domains", mode="before")
    @classmethod
    def _named_domains(cls, value: object) -> object:
        if isinstance(value, str):
            value = [name.strip() for name in value.split(",") if name.strip()]
        if isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value):
            if twice := [name for name in dict.fromkeys(value) if value.count(name) > 1]:
                raise ValueError(f"it names {' and '.join(twice)} twice; 'share' says how often a domain comes")
            value = dict.fromkeys(value)
        if not isinstance(value, dict):
            return value
        unknown = [name for name, domain in value.items() if name not in ready_made() and _is_ready_made(name, domain)]
        if unknown:
            raise ValueError("; ".join(_no_domain(str(name)) for name in unknown))
        return {name: _with_ready_made(name, domain, ready_made()) for name, domain in value.items()}

    @model_validator(mode="after")
    def _reachable(self) -> GenerateConfig:
        if self.until_kept is not None and self.until_kept > self.count:
            raise ValueError(
                f"until_kept ({self.until_kept}) is larger than count ({self.count}), the maximum to generate"
            )
        return self


def _with_ready_made(name: object, domain: object, known: Mapping[str, dict[str, Any]]) -> object:
    if isinstance(domain, (int, float)) and not isinstance(domain, bool):
        domain = {"share": domain}
    if isinstance(domain, DomainConfig) or not isinstance(domain, (dict, type(None))):
        return domain
    if name in known:
        return known[str(name)] | (domain or {})
    return domain


def _is_ready_made(name: object, domain: object) -> bool:
    """Returns whether this is meant as a ready-made domain: it has no system prompt, and maybe a similar name."""
    if isinstance(domain, bool) or not isinstance(domain, (int, float, dict, type(None))):
        return False
    lacks = not isinstance(domain, dict) or "system" not in domain
    return lacks and (domain is None or nearest(str(name), ready_made()) is not None)


def _no_domain(name: str) -> str:
    near = nearest(name, ready_made())
    meant = f"did you mean {near}?" if near else ", ".join(ready_made())
    return f"{name!r} is not a ready-made domain ({meant}) and has no system prompt"


def _lines(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        text = read_text(Path(value).expanduser())
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ValueError(f"the file of topics {value!r} cannot be read: {reason}") from None
    topics = tuple(line.strip() for line in LINE_END.split(text) if line.strip())
    if not topics:
        raise ValueError(f"the file of topics {value!r} holds no topic; write one per line")
    return topics


def _known_language(value: str) -> str:
    if value:
        language_name(value)
    return value
