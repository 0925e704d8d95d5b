"""Names of a package that are imported when they are asked for, so that importing the package costs nothing."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """Returns a `__getattr__` for a package (PEP 562).

    Args:
        package: the package's `__name__`.
        places: by name, the module in the package that has it, such as `reward.model`.
    """

    def get(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{places[name]}"), name)

    return get
