"""Which models a run uses."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from synthetic_instruction_tuner.config.sections.section import (
    Section,
    checked_path,
    checked_url,
    checked_variable,
    refuse,
)
from synthetic_instruction_tuner.escaping import visible

_WEB_PAGE = re.compile(r"https?://(?:(?:www\.)?(?:huggingface\.co|hf\.co)/(?P<id>[\w.-]+/[\w.-]+))?", re.IGNORECASE)
LONGEST_NAME = 200  # bytes; the name is part of names of files, which may have 255


class ModelConfig(Section):
    """One model: a local folder, a Hub id, or ``nano:NAME`` for an embedded model."""

    path: str = Field(description="Local folder, Hugging Face Hub id, or nano:NAME for a model inside the package.")
    name: str = Field("", description="Short name used in files and tables; the path's last part when empty.")
    revision: str | None = Field(None, description="Hub revision (branch, tag or commit).")
    trust_remote_code: bool = Field(False, description="Run code from the model's repository.")
    chat_template: str | None = Field(
        None,
        description="A .jinja file or a model whose chat template is used; for base models without one.",
    )
    parameters: float | None = Field(
        None, gt=0, description="Number of weights, for planning when the model's files are not on this machine."
    )
    load_in_4bit: Literal["auto"] | bool = Field(
        "auto",
        description="Hold the weights in 4 bits (NF4, bitsandbytes); auto: on a GPU where 16 bits do not fit beside "
        "what the stage needs.",
        exclude_if=lambda value: value == "auto",
    )
    license: str | None = Field(
        None,
        description="License id, as used on the Hub, for the data card; read from the model's own card when not set.",
    )
    url: str | None = Field(
        None,
        description="Server that runs this model, such as http://127.0.0.1:8000/v1; path still names its tokenizer.",
    )
    served_as: str | None = Field(None, description="The model's name on its server, if that differs from its path.")
    api_key_env: str = Field("", description="Environment variable that holds the key of this model's own server.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: object) -> object:
        return {"path": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _named(self) -> ModelConfig:
        if not self.name:
            object.__setattr__(self, "name", self.path.rstrip("/").split("/")[-1].removeprefix("nano:"))
        name = self.name
        if name in (".", "..") or set(name) & set("/\\:") or visible(name) != name or not name or name != name.strip():
            raise ValueError(f"the name {name[:60]!r} cannot be used as a folder name; give another one with 'name'")
        if len(name.encode("utf-8", "replace")) > LONGEST_NAME:
            raise ValueError(f"the name has more than {LONGEST_NAME} bytes; give the model a short name of its own")
        return self

    @field_validator("path")
    @classmethod
    def _names_a_model(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("it is empty; name a local folder, a Hub id such as Qwen/Qwen2.5-1.5B, or nano:NAME")
        if page := _WEB_PAGE.match(value):
            known = f"; write {page['id']}" if page["id"] else ""
            raise ValueError(f"it is the address of a web page and not a model's id{known}")
        return value

    _short_enough = field_validator("path", "chat_template")(checked_path)

    _plain_url = field_validator("url")(checked_url)
    _variable = field_validator("api_key_env")(checked_variable)


class ModelsConfig(Section):
    """The models of a run."""

    generator: ModelConfig = Field(description="Aligned chat model that writes instructions and answers (Magpie).")
    responders: tuple[ModelConfig, ...] = Field(
        description="Models whose answers become preference pairs.", min_length=1
    )
    reward: ModelConfig = Field(description="Sequence-classification reward model that scores answers.")
    judge: ModelConfig | None = Field(
        None, description="Chat model that judges answers instead of the reward model, with prefer.scorer=judge."
    )
    students: tuple[ModelConfig, ...] = Field(description="Base models to tune.", min_length=1)

    @field_validator("responders", "students", mode="before")
    @classmethod
    def _one_without_brackets(cls, value: object) -> object:
        if isinstance(value, str) and "," in value:
            parts = ", ".join(part.strip() for part in value.strip("()").split(","))
            raise ValueError(f"several models are written in brackets: [{parts}]")
        return [value] if isinstance(value, (str, dict, ModelConfig)) else value

    @model_validator(mode="after")
    def _distinct(self) -> ModelsConfig:
        faults = []
        for role in ("responders", "students"):
            models = getattr(self, role)
            names = [m.name for m in models]
            folded = [name.casefold() for name in names]  # some disks do not tell Names from names
            for name in dict.fromkeys(name for name in folded if folded.count(name) > 1):
                paths = {m.path for m in models if m.name.casefold() == name}
                once = f"name {names[folded.index(name)]} once"
                fix = once if len(paths) == 1 else "give one a name of its own: {path: ..., name: ...}"
                faults.append(f"{role} must have distinct names, got {', '.join(names)}: {fix}")
        if any(m.url for m in (self.reward, *self.students)):
            faults.append("a student is trained here and the reward model runs here: they have no url")
        refuse(*faults)
        return self
