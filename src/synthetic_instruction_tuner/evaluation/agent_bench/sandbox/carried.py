"""Programs that run without this package: where a sandbox is entered, and inside.

They consist of modules of this package that need nothing but Python's library and each other.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

_LOAD = """
import sys, types
for name, text in {modules!r}:
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
    parent = sys.modules.setdefault(name.rpartition(".")[0], types.ModuleType(name.rpartition(".")[0]))
    setattr(parent, name.rpartition(".")[2], module)
main = module.main
"""


@cache
def program(*names: str) -> str:
    """Returns a text whose execution defines `main`: that of the last of these modules, in an order of their needs."""
    package = __name__.rpartition(".")[0]
    texts = [(f"{package}.{name}", (files(package) / f"{name}.py").read_text(encoding="utf-8")) for name in names]
    return _LOAD.format(modules=texts)


def entering() -> str:
    """Returns the text of `namespaces`, whose plan is its first argument, as JSON."""
    return f"import json\n{program('host_files', 'namespaces')}\nmain(json.loads(sys.argv[1]))\n"


def inside() -> str:
    """Returns the text of `supervisor`, which defines `main`."""
    return program("shell_output", "supervisor")
