"""Settings that name files: a relative path in a YAML file is one from the folder of that file.

On the command line it is one from the working directory. What must be found again from anywhere is made absolute:
topics are read at once, and contamination files are stored in a run with their whole path. A model may also be a Hub
id, so its path is taken from the YAML file's folder only where something is there; where that folder is the working
directory it stays as it is written, and with it the keys of the stages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

MODELS = ("generator", "responders", "reward", "judge", "students")


def with_paths(data: Any, folder: Path) -> Any:
    """Returns settings, as nested plain values, with the paths that are relative to a folder resolved.

    Values that are no settings stay as they are; they are refused later.
    """
    if not isinstance(data, dict):
        return data
    found = dict(data)
    _change(found, "generate", lambda part: _generate(part, folder))
    _change(found, "filter", lambda part: _filter(part, folder))
    _change(found, "models", lambda part: _models(part, folder))
    return found


def _generate(part: Any, folder: Path) -> Any:
    if not isinstance(part, dict):
        return part
    found = dict(part)
    _change(found, "topics", lambda value: _path(value, folder))
    domains = found.get("domains")
    if isinstance(domains, dict):
        found["domains"] = {name: _topics(domain, folder) for name, domain in domains.items()}
    return found


def _topics(domain: Any, folder: Path) -> Any:
    if not isinstance(domain, dict):
        return domain
    found = dict(domain)
    _change(found, "topics", lambda value: _path(value, folder))
    return found


def _filter(part: Any, folder: Path) -> Any:
    if not isinstance(part, dict):
        return part
    found = dict(part)
    _change(found, "tokenizer", lambda value: _path_of_model(value, folder))
    if isinstance(found.get("tags"), dict):
        found["tags"] = dict(found["tags"])
        _change(found["tags"], "model", lambda value: _model(value, folder))
    if isinstance(found.get("contamination"), dict):
        found["contamination"] = own = dict(found["contamination"])
        _change(own, "folder", lambda value: _path(value, folder))
        _change(own, "files", lambda value: [_path(file, folder) for file in value] if _listed(value) else value)
    return found


def _models(part: Any, folder: Path) -> Any:
    if not isinstance(part, dict):
        return part
    found = dict(part)
    for role in MODELS:
        _change(
            found,
            role,
            lambda value: [_model(one, folder) for one in value] if _listed(value) else _model(value, folder),
        )
    return found


def _model(value: Any, folder: Path) -> Any:
    if not isinstance(value, dict):
        return _path_of_model(value, folder)
    found = dict(value)
    for key in ("path", "chat_template"):
        _change(found, key, lambda path: _path_of_model(path, folder))
    return found


def _path(value: Any, folder: Path) -> Any:
    """A path whose file must be there, as an absolute one."""
    if not isinstance(value, str) or not value or "\0" in value or value.startswith("~"):
        return value
    return str((folder / value).absolute())


def _path_of_model(value: Any, folder: Path) -> Any:
    """A path that may also be a name on the Hub."""
    path = _path(value, folder)
    if path == value or not isinstance(path, str) or folder.absolute() == Path.cwd():
        return value
    try:
        return path if Path(path).exists() else value
    except OSError:
        return value


def _change(data: dict[str, Any], key: str, by: Any) -> None:
    if key in data:
        data[key] = by(data[key])


def _listed(value: Any) -> bool:
    return isinstance(value, (list, tuple))
