"""The house keeps its plan: arrows between packages go one way, and every package says where to start reading."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import synthetic_instruction_tuner

NAME = "synthetic_instruction_tuner"
SOURCE = Path(synthetic_instruction_tuner.__file__).parent

# What a package or a module of the top level may import, besides itself.
SPOKEN = {"records", "errors", "methods", "words", "escaping", "web_addresses", "lazy_names"}  # what all speak of
BASE = SPOKEN | {"config", "data_files"}
MODELS = BASE | {"models"}
ENGINES = MODELS | {"chat", "engines"}
MAY_IMPORT: dict[str, set[str]] = {
    "records": set(),
    "web_addresses": set(),
    "errors": {"web_addresses"},
    "words": set(),
    "escaping": set(),
    "lazy_names": set(),
    "methods": set(),
    "config": SPOKEN,
    "data_files": SPOKEN,
    "models": BASE,
    "nano": SPOKEN | {"data_files"},
    "chat": SPOKEN,
    "engines": MODELS | {"chat"},
    "data_generation": ENGINES,
    "evaluation": ENGINES | {"nano"},
    "filtering": ENGINES | {"evaluation"},  # the benchmarks' items, which no record may hold
    "preference": ENGINES,
    "training": MODELS | {"chat"},
    "exporting": MODELS | {"chat"},
    "publishing": SPOKEN,
    "reporting": MODELS | {"evaluation"},  # results, comparison and statistics, which the report shows
}
LIBRARIES = set(MAY_IMPORT)
MAY_IMPORT["run"] = LIBRARIES - {"nano"}
MAY_IMPORT["cli"] = MAY_IMPORT["run"] | {"run", "__init__"}
MAY_IMPORT["__main__"] = {"cli"}
MAY_IMPORT["__init__"] = set()

LONGEST = 300  # lines of a module
WIDEST = 13  # modules beside each other, __init__ not counted


@cache
def imports() -> dict[Path, set[tuple[str, ...]]]:
    """By file, the parts of the names below the package that it imports, inside of functions too."""
    found = {}
    for file in sorted(SOURCE.rglob("*.py")):
        names: set[str] = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{file}: imports are absolute"
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
        found[file] = {tuple(name.split(".")[1:]) for name in names if name.split(".")[0] == NAME}
    return found


def room(file: Path) -> str:
    """The package or module of the top level that a file belongs to."""
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


def packages() -> Iterator[Path]:
    for file in sorted(SOURCE.rglob("__init__.py")):
        yield file.parent


@pytest.mark.parametrize(
    ("package", "classes"),
    [
        ("data_generation", {"MagpieGenerator"}),
        ("filtering", {"QualityFilter", "FilterReport"}),
        ("preference", {"PreferenceBuilder", "PreferenceReport", "RewardModel", "Judge"}),
        ("training", {"LoraSft", "PromptTuning", "Dpo"}),
        ("evaluation", {"Evaluator"}),
        ("engines", {"open_engine"}),
        ("chat", {"ChatTemplate"}),
    ],
)
def test_a_library_offers_its_main_classes_and_loads_nothing_heavy(package: str, classes: set[str]) -> None:
    code = f"import sys, {NAME}.{package}; print({{'torch', 'transformers'}} & {{*sys.modules}})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
    library = import_module(f"{NAME}.{package}")
    assert classes <= set(library.__all__)
    for name in library.__all__:
        assert getattr(library, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        library.nothing  # noqa: B018


def test_every_arrow_is_allowed() -> None:
    wrong = []
    for file, names in imports().items():
        for name in names:
            target = name[0] if (SOURCE / name[0]).is_dir() or (SOURCE / f"{name[0]}.py").is_file() else "__init__"
            if name != ("__version__",) and target != room(file) and target not in MAY_IMPORT[room(file)]:
                wrong.append(f"{file.relative_to(SOURCE)} imports {'.'.join(name)}")
    assert wrong == []


def test_no_packages_import_each_other_in_a_circle() -> None:
    arrows: dict[str, set[str]] = defaultdict(set)
    for file, names in imports().items():
        arrows[room(file)] |= {name[0] for name in names if name[0] not in (room(file), "__version__")}
    done: list[str] = []
    while left := [one for one in arrows if one not in done]:
        free = [one for one in left if not (arrows[one] & set(left)) - {one}]
        assert free, f"a circle among {', '.join(left)}"
        done += free


def test_training_of_the_embedded_models_is_needed_by_nothing_that_a_run_does() -> None:
    users = {file for file, names in imports().items() if any(name[:2] == ("nano", "training") for name in names)}
    assert {room(file) for file in users} <= {"nano"}
    world = {file for file in users if file.is_relative_to(SOURCE / "nano" / "world")}
    assert world == set()


@pytest.mark.parametrize("package", packages(), ids=lambda package: package.relative_to(SOURCE.parent).as_posix())
def test_a_package_says_what_it_is_and_where_to_start_reading(package: Path) -> None:
    text = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8"))) or ""
    if package.name in ("profiles", "families"):  # data, and a list
        assert text
        return
    assert len(text) > 80, f"{package}: says nothing of what it holds"
    assert "imports" in text.lower() or "may import" in text.lower(), f"{package}: does not say what it may import"
    assert "start" in text.lower(), f"{package}: does not say where to start reading"


@pytest.mark.parametrize("package", packages(), ids=lambda package: package.relative_to(SOURCE.parent).as_posix())
def test_no_package_is_a_drawer(package: Path) -> None:
    modules = [file for file in package.glob("*.py") if file.name != "__init__.py"]
    assert len(modules) <= WIDEST, f"{package.name} has {len(modules)} modules beside each other"


def test_no_module_is_longer_than_one_mind_holds() -> None:
    lengths = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in SOURCE.rglob("*.py")}
    assert {file.relative_to(SOURCE).as_posix(): n for file, n in lengths.items() if n > LONGEST} == {}


def test_no_two_test_files_have_one_name() -> None:
    """Pytest imports them by their names alone: the second one would not run."""
    names = [file.name for file in Path(__file__).parent.rglob("*.py") if file.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))
