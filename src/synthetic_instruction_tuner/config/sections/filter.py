"""Stage filter: the quality rules."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from synthetic_instruction_tuner.config.languages import detected_language
from synthetic_instruction_tuner.config.sections.models import ModelConfig
from synthetic_instruction_tuner.config.sections.section import Section, checked_list, checked_path, refuse

Benchmark = Literal["nano", "ifeval", "mmlu", "mt_bench", "agentbench"]


class ContaminationConfig(Section):
    """Which benchmarks' items no record may contain, and how they are matched."""

    benchmarks: tuple[Benchmark, ...] = Field(
        (),
        description="Benchmarks whose items no record may contain; nano: those of the embedded models. With none, "
        "the rule is off unless there are files.",
    )
    folder: str | None = Field(
        None,
        description="Folder with a subfolder per benchmark (ifeval, mmlu, mt_bench, agentbench); evaluate.data_dir when "
        "not given. Missing ones are looked for in the Hugging Face cache and on the Hub.",
    )
    files: tuple[str, ...] = Field(
        (), description="Your own files of benchmark items: JSON, JSONL, CSV, TSV, Parquet or text."
    )
    match: Literal["auto", "exact", "overlap"] = Field(
        "auto",
        description="exact: instructions that equal an item, word for word; overlap: also 13 words in a row, half an "
        "item in 8-grams, and light edits; auto: exact for nano, overlap for other benchmarks and for files.",
    )

    _short_enough = field_validator("folder")(checked_path)

    @field_validator("benchmarks", "files")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(str, map(checked_path, checked_list(value))))

    @model_validator(mode="after")
    def _used(self) -> ContaminationConfig:
        if self.folder is not None and set(self.benchmarks) <= {"nano"}:
            raise ValueError("folder needs benchmarks that are in it: ifeval, mmlu, mt_bench or agentbench")
        return self

    @property
    def common_match(self) -> Literal["auto", "exact", "overlap"]:
        """How all items are looked for; ``auto`` where those of nano are looked for in another way than the others."""
        if self.match != "auto" or "nano" not in self.benchmarks:
            return "overlap" if self.match == "auto" else self.match
        return "exact" if len(self.benchmarks) == 1 and not self.files else "auto"


class TagsConfig(Section):
    """Tags that a chat model gives to records, as columns and as a rule; off without a model."""

    model: ModelConfig | None = Field(None, description="Chat model that tags the records; off when not set.")
    min_quality: int = Field(1, ge=1, le=5, description="Minimum quality to keep, from 1 (very poor) to 5 (excellent).")
    min_difficulty: int = Field(
        1, ge=1, le=5, description="Minimum difficulty to keep, from 1 (very easy) to 5 (very hard)."
    )
    max_difficulty: int = Field(5, ge=1, le=5, description="Maximum difficulty to keep.")
    categories: tuple[str, ...] = Field((), description="Categories to keep; all when empty.")
    max_new_tokens: int = Field(96, ge=16, description="Maximum length of the tagging model's answer, in tokens.")
    batch: int = Field(128, ge=1, description="Records whose tags are stored at once.")

    @model_validator(mode="after")
    def _ordered(self) -> TagsConfig:
        low, high = self.min_difficulty, self.max_difficulty
        decides = self.min_quality > 1 or low > 1 or high < 5 or self.categories
        refuse(
            f"min_difficulty ({low}) is larger than max_difficulty ({high})" if low > high else None,
            "min_quality, min_difficulty, max_difficulty and categories need a model that tags the records"
            if decides and self.model is None
            else None,
        )
        return self


class FilterConfig(Section):
    """The plan's five quality rules, and the further ones that real data needs."""

    min_words: int = Field(20, ge=0, description="Minimum length of a response, in words.")
    max_words: int = Field(500, ge=1, description="Maximum length of a response, in words.")
    max_word_repeats: int = Field(3, ge=1, description="How many times in a row a word may occur.")
    max_line_repeats: int = Field(3, ge=1, description="How many times in a row a line may occur.")
    max_phrase_repeats: int = Field(5, ge=1, description="How many times in a row a phrase (2 to 40 words) may occur.")
    max_repeated_share: float = Field(
        0.8, ge=0, le=1, description="Maximum share of a response's words in 8-grams that occurred earlier in it."
    )
    drop_truncated: bool = Field(
        True, description="Drop texts that hit their token limit or, if that is not known, stop in mid-sentence."
    )
    tokenizer: str = Field("", description="Model whose tokenizer counts tokens; no tokens are counted when empty.")
    min_tokens: int = Field(0, ge=0, description="Minimum length of a response, in tokens; needs a tokenizer.")
    max_tokens: int | None = Field(
        None, ge=1, description="Maximum length of a response, in tokens; needs a tokenizer."
    )
    near_duplicate_threshold: float = Field(
        0.8,
        gt=0,
        le=1,
        description="Drop instructions whose word-set Jaccard similarity to a kept one is at least this.",
    )
    neighbors: bool = Field(
        False,
        description="Add each kept record's distance from its nearest neighbor to the data (a column, not a rule).",
    )
    refusal_rule: Literal["form", "keywords"] = Field(
        "form",
        description="form: drop responses that refuse, by position and wording; keywords: drop every response with "
        "a phrase.",
    )
    refusal_phrases: tuple[str, ...] = Field(
        ("I'm an AI", "I cannot", "I don't have", "As an AI", "I'm not able"),
        description="Phrases that count as refusals; straight and curly apostrophes are equivalent. "
        "Empty: the rule is off.",
    )
    refusal_disclaimers: Literal["keep", "drop"] = Field(
        "keep",
        description="Answers with a disclaimer before them (As an AI ..., however, here is ...): keep or drop; "
        "refusal_rule=keywords does not tell them from refusals.",
    )
    language: str = Field("en", description="Expected language, by code or name; the rule is off when empty.")
    language_confidence: float = Field(
        0.7,
        ge=0,
        le=1,
        description="Drop a record for its language only if the detector is at least this sure of another one.",
    )
    contamination: ContaminationConfig = Field(ContaminationConfig(), description="The rule on benchmark items.")
    tags: TagsConfig = Field(TagsConfig(), description="Difficulty, quality and category, from a chat model.")
    min_reward: float | None = Field(
        None, description="Drop records that models.reward scores below this; off when not set."
    )
    keep: int | None = Field(
        1000, ge=1, description="Maximum number of records to keep, in order; all that pass when null."
    )

    _short_enough = field_validator("tokenizer")(checked_path)

    @field_validator("refusal_phrases")
    @classmethod
    def _words(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if empty := [phrase for phrase in value if not re.search(r"\w", phrase)]:
            raise ValueError(f"{empty[0]!r} contains no word")
        return value

    @field_validator("language")
    @classmethod
    def _known(cls, value: str) -> str:
        return detected_language(value) if value.strip() else ""

    @model_validator(mode="after")
    def _ordered(self) -> FilterConfig:
        most = self.max_tokens
        refuse(
            f"min_words ({self.min_words}) is larger than max_words ({self.max_words})"
            if self.min_words > self.max_words
            else None,
            f"min_tokens ({self.min_tokens}) is larger than max_tokens ({most})"
            if most is not None and self.min_tokens > most
            else None,
            "min_tokens and max_tokens need a tokenizer"
            if not self.tokenizer and (self.min_tokens or most is not None)
            else None,
        )
        return self
