"""The license of data that models wrote: the strictest of the models' own; unknown where one is unknown.

What is computed is a lower bound, not legal advice: a license may say more about a model's output than its class shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

CLASSES = (
    "public domain",
    "permissive",
    "share-alike",
    "use restrictions",
    "no derivatives",
    "no commercial use",
    "unknown",
)
UNKNOWN = len(CLASSES) - 1

# Names as the Hub has them; a name that ends in * means all names with that beginning. The first match counts.
KNOWN: tuple[tuple[str, int], ...] = (
    *((name, 0) for name in ("cc0-1.0", "unlicense", "wtfpl", "pddl")),
    *((name, 5) for name in ("cc-by-nc*", "qwen-research", "mrl", "intel-research", "apple-amlr", "llama-license")),
    *((name, 5) for name in ("fair-noncommercial-research-license", "apple-ascl", "c4ai-command*", "h-research")),
    *((name, 4) for name in ("cc-by-nd*",)),
    *(
        (name, 2)
        for name in ("cc-by-sa*", "gpl*", "agpl*", "lgpl*", "gfdl", "odbl", "mpl-2.0", "epl*", "eupl*", "osl*")
    ),
    *((name, 3) for name in ("llama2", "llama3", "llama3.*", "llama4", "gemma", "openrail*", "*-openrail-m")),
    *((name, 3) for name in ("bigscience-bloom-rail-1.0", "openmdw*", "qwen", "tongyi-qianwen*", "deepseek*")),
    *((name, 1) for name in ("mit", "apache-2.0", "bsd*", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "isc")),
    *(
        (name, 1)
        for name in ("afl-3.0", "artistic-2.0", "bsl-1.0", "cdla-permissive*", "ms-pl", "ncsa", "zlib", "ecl-2.0")
    ),
)
# Names that the Hub's cards may have under `license_name` alone.
NOT_ON_THE_HUB = (
    "qwen-research",
    "mrl",
    "llama-license",
    "qwen",
    "h-research",
    "tongyi-qianwen*",
    "deepseek*",
    "c4ai*",
)

NOTES = (  # license, what it says about what its model wrote
    ("llama2", "Llama 2's license forbids improving other language models with its output."),
    ("llama3", "Llama 3's license forbids improving other language models with its output."),
    (
        "llama3.*",
        "The licenses of Llama 3.1 and later require 'Built with Llama' to be shown, and names that begin with 'Llama' "
        "for models trained on its output.",
    ),
    ("gemma", "Gemma's terms count a model trained on its output as a derivative of Gemma."),
)


@dataclass(frozen=True, slots=True)
class DataLicense:
    """A data set's license.

    Attributes:
        names: the strictest licenses among the models', or only ``unknown``.
        kind: their class, one of `CLASSES`.
        notes: what they say about output, as far as it is known here.
    """

    names: tuple[str, ...]
    kind: str
    notes: tuple[str, ...]

    def metadata(self) -> dict[str, object]:
        """Returns the entries of a Hub card: names that the Hub does not know are under ``license_name``."""
        if all(map(_on_the_hub, self.names)):
            return {"license": self.names[0] if len(self.names) == 1 else list(self.names)}
        return {"license": "other", "license_name": "-and-".join(self.names)}


def strictest(licenses: Iterable[str | None]) -> DataLicense:
    """Returns the license of data that models under these licenses made; None is one that is not known."""
    names = {(name or "unknown").strip().casefold() for name in licenses}
    found = {name: license_class(name) for name in names}
    worst = max(found.values(), default=UNKNOWN)
    chosen = ("unknown",) if worst == UNKNOWN else tuple(sorted(n for n, kind in found.items() if kind == worst))
    notes = tuple(note for pattern, note in NOTES if any(_fits(name, pattern) for name in names))
    return DataLicense(chosen, CLASSES[worst], notes)


def card_license(name: str | None) -> dict[str, str]:
    """Returns a model's license as the metadata of a card name it; nothing where it is not known."""
    if not name:
        return {}
    plain = name.strip().casefold()
    if license_class(plain) != UNKNOWN and _on_the_hub(plain):
        return {"license": plain}
    named = re.sub(r"[^a-z0-9.]+", "-", plain).strip("-.")  # the signs that the Hub allows
    return {"license": "other"} | ({"license_name": named} if named else {})


def license_class(name: str) -> int:
    """Returns the place of a license among `CLASSES`."""
    name = name.strip().casefold()
    return next((kind for pattern, kind in KNOWN if _fits(name, pattern)), UNKNOWN)


def _on_the_hub(name: str) -> bool:
    return not any(_fits(name, pattern) for pattern in NOT_ON_THE_HUB)


def _fits(name: str, pattern: str) -> bool:
    if pattern.startswith("*"):
        return name.endswith(pattern[1:])
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern
