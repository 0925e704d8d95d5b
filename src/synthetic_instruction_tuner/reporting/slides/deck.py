"""What is on each slide, read from the Markdown that the template gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it.token import Token


@dataclass(slots=True)
class Slide:
    """One slide.

    Attributes:
        title: its message.
        bullets: its sentences.
        table: its rows of cells, the heading first; none where it has no table.
        image: the link to its figure; empty where it has none.
        alt: what the figure shows, for people who do not see it.
        notes: what the speaker says.
    """

    title: str = ""
    bullets: list[str] = field(default_factory=list)
    table: list[list[str]] = field(default_factory=list)
    image: str = ""
    alt: str = ""
    notes: str = ""


def read_slides(text: str) -> list[Slide]:
    """Returns the slides of a Markdown text in which a rule stands between two of them."""
    from markdown_it import MarkdownIt

    slides, holder = [Slide()], ""
    for token in MarkdownIt("commonmark", {"html": False}).enable("table").parse(text):
        here = slides[-1]
        match token.type:
            case "hr":
                slides.append(Slide())
            case "heading_open" | "list_item_open" | "blockquote_open" | "th_open" | "td_open":
                holder = token.type
            case "tr_open":
                here.table.append([])
            case "inline":
                _fill(here, holder, token)
            case "heading_close" | "list_item_close" | "blockquote_close":
                holder = ""
    return slides


def _fill(slide: Slide, holder: str, token: Token) -> None:
    """Puts a text where what it stands in belongs."""
    images = [child for child in token.children or [] if child.type == "image"]
    if images and not holder:
        slide.image, slide.alt = str(images[0].attrs["src"]), images[0].content
        return
    shown = "".join(" " if child.type == "softbreak" else child.content for child in token.children or [])
    match holder:
        case "heading_open":
            slide.title = shown
        case "list_item_open":
            slide.bullets.append(shown)
        case "blockquote_open":
            slide.notes = f"{slide.notes}\n{shown}".strip()
        case "th_open" | "td_open":
            slide.table[-1].append(shown)
