"""Numbers of headings, figures, tables and references, in the order in which they stand.

A text may refer to a figure that comes later, so a report is rendered twice: the first time finds the numbers, the
second one knows them.
"""

from __future__ import annotations

import re

from synthetic_instruction_tuner.reporting.language.translation import say, term
from synthetic_instruction_tuner.reporting.sections.references import REFERENCES, Reference


class Numbering:
    """What a template asks for numbers.

    Attributes:
        captions: by key, the name of each figure and table that has a caption: Figure 2.
        headings: the sections' titles, in their order.
        cited: the references that the text cites, in the order of their numbers.
    """

    def __init__(self, known: Numbering | None = None) -> None:
        self.captions: dict[str, str] = {}
        self.headings: list[str] = []
        self.cited: list[Reference] = []
        self._known = known

    def heading(self, title: str) -> str:
        """Returns the heading of a section, and keeps it for the table of contents."""
        self.headings.append(title)
        return f"## {title}"

    def contents(self) -> list[tuple[str, str]]:
        """Returns the sections' titles with their links; none the first time."""
        return [(title, f"#{anchor(title)}") for title in (self._known.headings if self._known else ())]

    def caption(self, kind: str, key: str) -> str:
        """Returns the next number of this kind: Figure 3. Each key has one caption."""
        assert f"{kind}:{key}" not in self.captions, f"{kind} {key} has two captions"
        count = sum(name.startswith(f"{kind}:") for name in self.captions)
        self.captions[f"{kind}:{key}"] = f"{term(kind)} {count + 1}"
        return self.captions[f"{kind}:{key}"]

    def ref(self, kind: str, key: str) -> str:
        """Returns the number that a caption before or after has: Figure 3."""
        return self._known.captions[f"{kind}:{key}"] if self._known else term(kind)

    def cite(self, *keys: str) -> str:
        """Returns the references' numbers as a link to their list: [3]."""
        for key in keys:
            if REFERENCES[key] not in self.cited:
                self.cited.append(REFERENCES[key])
        numbers = ", ".join(str(self.cited.index(REFERENCES[key]) + 1) for key in keys)
        return rf"[\[{numbers}\]](#{anchor(say('References'))})"


def anchor(title: str) -> str:
    """Returns the anchor of a heading, which GitHub and the HTML page make in the same way for plain words."""
    return re.sub(r"\W+", "-", title.lower()).strip("-")
