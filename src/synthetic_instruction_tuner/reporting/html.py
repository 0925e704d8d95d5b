"""A self-contained HTML file: figures embedded, no scripts, no external fonts or styles."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from synthetic_instruction_tuner.escaping import html

if TYPE_CHECKING:
    from markdown_it.token import Token


# Nothing from outside: the page's own styles, and images that are in it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def render_html(text: str, title: str, images: Mapping[str, Path], links: Collection[str] = ()) -> str:
    """Returns the Markdown text as a page.

    HTML inside the text is shown as text, not interpreted. There are no links but those of the table of contents and
    to the given files, and no images but the embedded ones; the page's policy forbids the browser to load anything.

    Args:
        text: Markdown with tables.
        title: the page's title.
        images: PNG files by the links that the text has for them.
        links: other files that the text may link to.
    """
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["link", "autolink", "reference"])
    mark = f"link-{hashlib.sha256(text.encode()).hexdigest()}-"  # a text does not hold its own hash
    targets = list(links)
    for number, target in enumerate(targets):
        text = re.sub(rf"\[[^\[\]\n]*\]\({re.escape(target)}\)", f"{mark}{number}-", text)
    tokens = parser.parse(text)
    contents = []
    for i, token in enumerate(tokens):
        for child in token.children or []:
            if child.type == "image":
                _embed(child, images)
        if token.type == "heading_open" and token.tag == "h2":
            name = tokens[i + 1].content
            token.attrs["id"] = anchor = re.sub(r"\W+", "-", name.lower()).strip("-")
            contents.append(f'<a href="#{anchor}">{html(name)}</a>')
    body = parser.renderer.render(tokens, parser.options, {})
    body = body.replace("<table>", '<div class="table"><table>').replace("</table>", "</table></div>")
    for number, target in enumerate(targets):
        body = body.replace(f"{mark}{number}-", f'<a href="{html(target)}">{html(target.rpartition("/")[2])}</a>')
    style = resources.files(__package__).joinpath("templates/report.css").read_text(encoding="utf-8")
    return PAGE.format(policy=POLICY, title=html(title), style=style, contents="\n".join(contents), body=body)


def _embed(image: Token, images: Mapping[str, Path]) -> None:
    """Puts the file into the page; of an image that is none of the figures, its description stays."""
    path = images.get(str(image.attrs["src"]))
    if path is None:
        image.type, image.tag, image.children = "text", "", None
    else:
        image.attrs["src"] = "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<nav>
{contents}
</nav>
<main>
{body}</main>
</body>
</html>
"""
