"""Stage agents: which models work as agents, on which tasks."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from synthetic_instruction_tuner.config.sections.section import Section, checked_list, checked_path
from synthetic_instruction_tuner.methods import VARIANTS

NANO_AGENTS: tuple[str, ...] = ("nano_db", "nano_os")
"""The agent benchmarks whose tasks this package generates."""

PUBLIC_AGENTS: tuple[str, ...] = ("dbbench", "os_interaction", "bfcl")
"""The agent benchmarks whose tasks are AgentBench's files, or BFCL's."""

AGENT_BENCHMARKS = NANO_AGENTS + PUBLIC_AGENTS
"""Every agent benchmark, in the order in which tables show them."""

TOOL_CALLS = "_tool_calls"
"""Ends the name of a benchmark's form by calls of tools, and that of its headline."""


class AgentsConfig(Section):
    """Models that work on tasks turn by turn, in an environment that answers."""

    benchmarks: tuple[Literal[AGENT_BENCHMARKS], ...] = Field(  # type: ignore[valid-type]  # mypy wants them spelled out
        (),
        description="Agent benchmarks to run: nano_db and nano_os have tasks of the nano world, dbbench and "
        "os_interaction need AgentBench's files, bfcl BFCL's, nano_os and os_interaction a sandbox. Without any the "
        "stage does nothing.",
    )
    variants: tuple[Literal[VARIANTS], ...] = Field(  # type: ignore[valid-type]
        ("dpo",), min_length=1, description="Variants of every student that work as agents; base is the untuned one."
    )
    tasks: str | None = Field(
        None,
        description="Folder with AgentBench's data, or file of DBBench tasks; by default the subfolder agentbench of "
        "evaluate.data_dir.",
    )
    items: int | None = Field(
        None, ge=1, le=10_000, description="At most this many tasks of each benchmark, from all of its kinds in turn."
    )
    form: Literal["auto", "text", "tools"] = Field(
        "auto",
        description="How agents act on dbbench, os_interaction and bfcl: by text, by calls of tools, or auto: tools "
        "where the student's chat template has them. Results of the two are never mixed.",
    )
    max_new_tokens: int = Field(512, ge=1, le=100_000, description="Maximum length of a turn, in tokens.")
    sandbox: Literal["auto", "docker", "podman", "bubblewrap", "namespaces"] = Field(
        "auto", description="Where commands run; auto takes the first that works."
    )
    root: str = Field(
        "",
        description="Files of the machine of commands: debian, host, a folder, a tar archive or image:NAME; empty for "
        "the best that is there.",
    )
    at_once: int = Field(128, ge=1, le=10_000, description="Conversations that are open at the same time.")
    mysql: str | None = Field(
        None,
        description="Name of the environment variable with the address of a MySQL or MariaDB server to use instead of "
        "SQLite: mysql://USER:PASSWORD@HOST:PORT, or mysql://USER@/?unix_socket=PATH.",
    )

    _short_enough = field_validator("tasks")(checked_path)
    _distinct = field_validator("benchmarks", "variants")(checked_list)

    @field_validator("mysql")
    @classmethod
    def _a_name(cls, value: str | None) -> str | None:
        if value is not None and not value.isidentifier():
            raise ValueError("must be the name of an environment variable, not the address: settings are kept in files")
        return value

    def key_part(self) -> dict[str, Any]:
        """Returns what results depend on: all settings except where files are and how many conversations are open.

        With ``form=auto`` the chat template decides, which the model's files are known by.
        """
        part = self.model_dump(
            mode="json", exclude={"tasks", "at_once", "mysql"} | ({"form"} if self.form == "auto" else set())
        )
        return part | {"database": "server" if self.mysql else "embedded"}

    def limited(self, most: int) -> AgentsConfig:
        """Returns the settings with at most `most` tasks of each benchmark."""
        return self.model_copy(update={"items": min(most, self.items or most)})
