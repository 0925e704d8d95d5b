"""Checks the documents: links resolve, commands parse, settings and modules exist, and both READMEs agree."""

from __future__ import annotations

import ast
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typer
import yaml

from synthetic_instruction_tuner import __version__
from synthetic_instruction_tuner.config import Config, load_config
from synthetic_instruction_tuner.config.messages import FORMER_NAMES, valid_keys

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src/synthetic_instruction_tuner"
TEMPLATES = {"report_template.md", "presentation_template.md"}  # rendered from a run, not for reading
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(page for page in (ROOT / "docs").glob("*.md") if page.name not in TEMPLATES),
    PACKAGE / "nano/weights/README.md",
]
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
per_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.name if page.parent.name != "weights" else "weights/README.md"
)


def blocks(page: Path, language: str) -> list[str]:
    return [text for found, text in FENCE.findall(page.read_text(encoding="utf-8")) if found == language]


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(page: Path) -> list[list[str]]:
    """Every shown command line of sit, make and python, as words."""
    lines = [line for block in blocks(page, "bash") for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`((?:sit|make|python) [^`]+)`", prose(page))
    parts = [part.strip() for line in lines for part in re.split(r" \| | && ", line)]
    words = [shlex.split(part, comments=True) for part in parts]
    return [found for found in words if found and found[0] in ("sit", "make", "python")]


def sit_commands() -> Iterator[Any]:
    for page in PAGES:
        for words in commands(page):
            if words[0] == "sit":
                yield pytest.param(words[1:], id=f"{page.name}: {' '.join(words)}")


@per_page
def test_relative_links_resolve(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?://|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), f"{page.name}: {target} is not there"
        if anchor:
            assert anchor in anchors(file), f"{page.name}: {target} names no heading"


@pytest.mark.parametrize("arguments", sit_commands())
def test_commands_of_sit_parse(arguments: list[str]) -> None:
    from synthetic_instruction_tuner.cli.app import app, load_verb

    words = [word for word in arguments if word != "--debug"]
    group: Any = typer.main.get_command(app)
    if words[:1] and words[0].startswith("-"):
        assert words[0] in {option for parameter in group.params for option in parameter.opts} | {"--help", "-h"}
        return
    verb, *rest = words
    assert verb in group.commands, f"sit has no verb {verb}"
    try:
        with load_verb(verb).make_context(verb, rest) as context:
            parameters = context.params
    except typer.Exit:  # --help
        return
    if parameters.get("set_") and not parameters.get("config"):
        load_config(parameters.get("profile", "nano"), None, parameters["set_"])


@per_page
def test_make_targets_and_scripts_exist(page: Path) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for words in commands(page):
        if words[0] == "make":
            assert words[1] in targets
        if words[0] == "python" and words[1] == "-m":
            assert (ROOT / "src" / Path(*words[2].split("."))).with_suffix(".py").exists()
        elif words[0] == "python":
            assert (ROOT / words[1]).exists()


@per_page
def test_yaml_blocks_are_configurations(page: Path, tmp_path: Path) -> None:
    for number, text in enumerate(blocks(page, "yaml")):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text, encoding="utf-8")
        assert isinstance(load_config(file=file), Config)


@per_page
def test_settings_that_are_named_exist(page: Path) -> None:
    known = set(valid_keys(Config))
    sections = {key.partition(".")[0] for key in known if "." in key}
    for key in re.findall(r"`(\w+(?:\.\w+)+)`", prose(page)):
        if key.partition(".")[0] in sections and not key.endswith((".py", ".yaml", ".html", ".STAGES", ".estimate")):
            assert key in known, f"{page.name}: there is no setting {key}"


@per_page
def test_modules_that_are_named_exist(page: Path) -> None:
    """A dotted name is a package, a module, or something within a module."""
    if page.name == "CHANGELOG.md":  # it also gives former names
        return
    packages = {found.name for found in PACKAGE.iterdir() if found.is_dir()} - set(Config.model_fields)
    for name in re.findall(r"`(?:synthetic_instruction_tuner\.)?(\w+(?:\.\w+)+)`", prose(page)):
        if name.partition(".")[0] in packages and not name.endswith((".json", ".sqlite")):
            path = PACKAGE / Path(*name.split("."))
            places = (path, path.with_suffix(".py"), path.parent.with_suffix(".py"))
            assert any(place.exists() for place in places), f"{page.name}: there is no {name}"


def test_the_changelog_names_every_renamed_setting() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert [old for old, new in FORMER_NAMES.items() if f"`{old}`" not in text or f"`{new}`" not in text] == []


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    keys = valid_keys(Config)
    leaves = [key for key in keys if not any(other.startswith(f"{key}.") for other in keys)]
    assert [key for key in leaves if f"| `{key}` |" not in text] == []


def test_configuration_tables_are_up_to_date() -> None:
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    updated = runpy.run_path(str(ROOT / "docs/generate.py"))["updated"]
    assert page == updated(page), "run: python docs/generate.py"


def test_the_table_of_contents_names_every_page() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"({page.name})" not in index] == ["index.md"]


TRANSLATED = [(ROOT / "README.md", ROOT / "README.ko.md"), (ROOT / "docs/plan.md", ROOT / "docs/plan.ko.md")]
per_translation = pytest.mark.parametrize(("english", "korean"), TRANSLATED, ids=lambda page: page.name)
NUMBER = re.compile(r"(?<![A-Za-z0-9_.])\d+(?:[.,]\d+)*")  # Korean words stand at a number without a space


def plain(page: Path) -> str:
    """The prose without what belongs to no language: addresses, code and pictures' names."""
    text = re.sub(r"\]\([^)]*\)", "]", prose(page))
    return re.sub(r"<[^>]+>|`[^`]*`", " ", text)


def sections(page: Path) -> list[str]:
    return re.split(r"^#+ .*$", plain(page), flags=re.MULTILINE)


@per_translation
def test_a_translation_has_the_same_commands_and_settings(english: Path, korean: Path) -> None:
    assert commands(english) == commands(korean)
    assert blocks(english, "yaml") == blocks(korean, "yaml")
    assert len(blocks(english, "bash")) == len(blocks(korean, "bash"))
    code = [sorted(re.findall(r"`[^`\n]+`", prose(page))) for page in (english, korean)]
    assert code[0] == code[1]


@per_translation
def test_a_translation_has_the_same_structure(english: Path, korean: Path) -> None:
    found = []
    for page in (english, korean):
        text = prose(page)
        levels = [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]
        cells = [line.count("|") for line in text.splitlines() if line.startswith("|")]
        targets = re.findall(r"\]\(([^)\s#]+)", text)
        links = sorted(target.replace(".ko.", ".") for target in targets)
        found.append((levels, cells, links, text.count("\n- ")))
    assert found[0] == found[1]


@per_translation
def test_a_translation_has_the_same_numbers_in_every_section(english: Path, korean: Path) -> None:
    for one, other in zip(sections(english), sections(korean), strict=True):
        numbers = [sorted(found.replace(",", "") for found in NUMBER.findall(text)) for text in (one, other)]
        assert numbers[0] == numbers[1], one.strip()[:60]


@pytest.mark.parametrize("name", ["README.md", "README.ko.md"])
def test_the_first_screen_begins_with_the_two_commands(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    first = FENCE.search(text)
    assert first and [line.split("#")[0].strip() for line in first[2].splitlines()] == ["make run", "make test"]
    assert text[: first.start()].count("\n") < 15
    assert text.count("\n") <= 260


@pytest.mark.parametrize("picture", sorted((ROOT / "docs/images").glob("*.svg")), ids=lambda file: file.name)
def test_a_drawn_picture_is_whole_fetches_nothing_and_names_no_place(picture: Path) -> None:
    text = picture.read_text(encoding="utf-8")
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert not re.search(r"(src|href|url)\W+https?:", text)
    assert not re.search(r"/(tmp|home|root|work)/", text)


def test_the_citation_names_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (cited["cff-version"], cited["version"], cited["license"]) == ("1.2.0", __version__, "Apache-2.0")
    assert cited["title"] and cited["authors"] and cited["message"]


@per_page
def test_no_number_is_still_to_be_filled_in(page: Path) -> None:
    assert "TODO-LEAD" not in page.read_text(encoding="utf-8")


def test_python_blocks_of_the_library_run(capsys: pytest.CaptureFixture[str]) -> None:
    """Those that need neither a model nor a run; `test_python_page` runs the others."""
    pages = [page for page in PAGES if page.name != "python.md"]
    found = [b for page in pages for b in blocks(page, "python") if "from synthetic_instruction_tuner" in b]
    assert found
    for text in found:
        exec(compile(text, "docs", "exec"), {})
    assert capsys.readouterr().out


@per_page
def test_imports_in_python_blocks_resolve(page: Path) -> None:
    for text in blocks(page, "python"):
        imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
        exec(compile(ast.Module(imports, type_ignores=[]), page.name, "exec"), {})
