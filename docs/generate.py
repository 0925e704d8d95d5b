"""Writes what the documents take from the package: ``python docs/generate.py``.

That is the tables of configuration.md, made from the settings themselves, and report_template.md and
presentation_template.md, copies of the templates of report and slides. Everything outside of the two marked parts of
configuration.md is written by hand and stays as it is.
"""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from synthetic_instruction_tuner.config import Config, DomainConfig, ModelConfig, load_config, profile_names
from synthetic_instruction_tuner.methods import METHODS

PAGE = Path(__file__).parent / "configuration.md"
TEMPLATES = ("report_template.md", "presentation_template.md")
MODEL_LISTS = ("models.responders", "models.students")
TITLES = {
    "": "The run",
    "models": "Models",
    "data": "Your own data",
    "engine": "Engine",
    "generate": "Generate",
    "filter": "Filter",
    "prefer": "Prefer",
    "train": "Train",
    **{f"train.{method.name}": f"Train: {method.label}" for method in METHODS},
    "evaluate": "Evaluate",
    "agents": "Agents",
    "report": "Report",
}


def main() -> None:
    """Writes all of them anew."""
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    for name in TEMPLATES:
        (PAGE.parent / name).write_text(template(name), encoding="utf-8")


def template(name: str) -> str:
    """Returns a template as the package has it."""
    folder = resources.files("synthetic_instruction_tuner.reporting") / "templates"
    return (folder / name).read_text(encoding="utf-8")


def updated(page: str) -> str:
    """Returns the page with its marked parts made from the code."""
    for name, text in (("SETTINGS", settings_tables()), ("PROFILES", profile_table())):
        pattern = re.compile(f"(<!-- BEGIN {name} -->\n).*?(<!-- END {name} -->)", re.DOTALL)
        page = pattern.sub(lambda m, text=text: f"{m[1]}\n{text}\n{m[2]}", page)
    return page


def settings_tables() -> str:
    """Returns a table per part of the configuration, with a row for every setting."""
    rows = rows_of(Config)
    parts = []
    for prefix, title in TITLES.items():
        chosen = [row for row in rows if _part(row[0]) == prefix]
        parts.append(f"### {title}\n\n{_table(chosen)}")
    parts.append(f"### Each model of `models.responders` and `models.students`\n\n{_table(rows_of(ModelConfig))}")
    parts.append(f"### Each domain of `generate.domains`\n\n{_table(rows_of(DomainConfig))}")
    return "\n\n".join(parts) + "\n"


def rows_of(
    model: type[BaseModel], prefix: str = "", start: Any = PydanticUndefined
) -> list[tuple[str, str, str, str]]:
    """Returns (key, allowed values, default, description) of every setting below a model.

    Args:
        model: the settings' class.
        prefix: what stands before the keys.
        start: an instance that the defaults are taken from; the class's own where there is none.
    """
    rows = []
    for name, info in model.model_fields.items():
        key, kind = prefix + name, info.annotation
        default = info.get_default(call_default_factory=True) if start is PydanticUndefined else getattr(start, name)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            rows += rows_of(kind, f"{key}.", default)
        else:
            rows.append((key, _allowed(info), _shown(default), info.description or ""))
    return rows


def profile_table() -> str:
    """Returns a row for each setting that a profile changes, with its value in every profile."""
    names = [n for n in ("nano", "cpu", "t4", "l4", "a100", "h200") if n in profile_names()]
    flat = {name: _flat(load_config(name).model_dump(mode="json")) for name in names}
    default = {key: value for key, _, value, _ in rows_of(Config)}
    lines = [f"| setting | default | {' | '.join(names)} |", f"|---|---|{'---|' * len(names)}"]
    for key, standard in default.items():
        values = [_shown(flat[name].get(key)) for name in names]
        if not key.startswith(("models.", "profile", "description")) and any(v != standard for v in values):
            lines.append(f"| `{key}` | {standard} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def _part(key: str) -> str:
    parts = key.split(".")
    if len(parts) == 1:
        return ""
    of_method = parts[0] == "train" and len(parts) > 2
    return ".".join(parts[:2]) if of_method else parts[0]


def _table(rows: list[tuple[str, str, str, str]]) -> str:
    head = "| setting | values | default | what it is |\n|---|---|---|---|"
    return "\n".join([head, *(f"| `{key}` | {kind} | {default} | {text} |" for key, kind, default, text in rows)])


def _allowed(info: FieldInfo) -> str:
    kind = _kind(info.annotation)
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [f"{sign} {getattr(m, name)}" for m in info.metadata for name, sign in signs.items() if hasattr(m, name)]
    return f"{kind}, {', '.join(bounds)}" if bounds else kind


def _kind(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin is tuple:
        item = _kind(inner[0])
        return f"list of {item}" if "`" in item else f"list of {item}s"
    if origin is dict:
        return "domains by name"
    if inner:  # a union with None
        return " or ".join(_kind(one) for one in inner)
    names = {int: "whole number", float: "number", str: "text", bool: "true, false", type(None): "null"}
    return names.get(annotation, "model")


def _shown(value: Any) -> str:
    if value is PydanticUndefined:
        return "none: must be set"
    if isinstance(value, float) and value == int(value) and abs(value) < 1e6:
        value = int(value)
    text = json.dumps(value if not isinstance(value, tuple) else list(value), ensure_ascii=False)
    return f"`{text}`".replace("|", "\\|")


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, part in value.items():
        nested = isinstance(part, dict) and f"{prefix}{key}" != "generate.domains"
        flat |= _flat(part, f"{prefix}{key}.") if nested else {f"{prefix}{key}": part}
    return flat


if __name__ == "__main__":
    main()
