"""Section data: the user's own records, instructions and preference pairs, from which a run can start."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from synthetic_instruction_tuner.config.sections.section import Section, checked_list, checked_path, refuse

HUB = "hf:"  # what the name of a data set of the Hub begins with
Kind = Literal["records", "prompts", "pairs"]
KINDS: tuple[Kind, ...] = Kind.__args__  # type: ignore[attr-defined]


class DataConfig(Section):
    """The user's own data. Without any, the models write all of it."""

    records: tuple[str, ...] = Field(
        (), description="Files of instructions with responses, or hf:NAME[:SPLIT], in place of Magpie's records."
    )
    prompts: tuple[str, ...] = Field(
        (), description="Files of instructions alone, or hf:NAME[:SPLIT]; the generator answers them."
    )
    pairs: tuple[str, ...] = Field(
        (), description="Files of preference pairs, or hf:NAME[:SPLIT]; nobody answers in stage prefer."
    )
    mix: bool = Field(False, description="Let Magpie write generate.count records too, after your own.")
    count: int | None = Field(
        None, ge=1, description="Use at most this many records, prompts and pairs, the first ones of each; null: all."
    )
    thoughts: Literal["apart", "in_response"] = Field(
        "apart",
        description="Where thoughts before an answer of your own files go: apart, so that nothing trains on them; or "
        "in_response, before the answer.",
    )
    license: str | None = Field(
        None, description="License of your data for the data card, as the Hub names it; null: unknown."
    )

    @field_validator("records", "prompts", "pairs", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        if value is None:
            return ()
        values = (value,) if isinstance(value, str) else value
        if not isinstance(values, (list, tuple)) or not all(isinstance(one, str) for one in values):
            raise ValueError("name a file, or a list of files; a data set of the Hub is hf:NAME or hf:NAME:SPLIT")
        return values

    @field_validator("records", "prompts", "pairs")
    @classmethod
    def _names(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in checked_list(values):
            if value.startswith(HUB):
                parts = value.removeprefix(HUB).split(":")
                refuse(
                    f"{value!r} does not name a data set; write hf:NAME, hf:NAME:SPLIT or hf:NAME:CONFIG:SPLIT"
                    if len(parts) > 3 or not all(part.strip() for part in parts)
                    else None
                )
            else:
                checked_path(value)
        return values

    @model_validator(mode="after")
    def _mixed_with_something(self) -> DataConfig:
        refuse("mix needs records, prompts or pairs to mix with" if self.mix and not self.given else None)
        return self

    def files(self, kind: Kind) -> tuple[str, ...]:
        """Returns the files of one kind."""
        found: tuple[str, ...] = getattr(self, kind)
        return found

    @property
    def keep_thoughts(self) -> bool:
        """Whether thoughts stay in the responses."""
        return self.thoughts == "in_response"

    @property
    def given(self) -> bool:
        """Whether there are any data of the user's."""
        return any(self.files(kind) for kind in KINDS)

    @property
    def magpie(self) -> bool:
        """Whether Magpie writes records."""
        return self.mix or not self.given

    @property
    def has_records(self) -> bool:
        """Whether the run has any records, so that there is something to filter and to train on."""
        return self.magpie or bool(self.records or self.prompts)
