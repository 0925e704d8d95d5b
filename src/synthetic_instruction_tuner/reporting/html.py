"""A self-contained HTML file: figures embedded, no scripts, no external fonts or styles."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping
from importlib import resources
from pathlib import Path


def render_html(text: str, title: str, images: Mapping[str, Path]) -> str:
    """Returns the Markdown text as a page.

    HTML inside the text is shown as text, not interpreted.

    Args:
        text: Markdown with tables.
        title: the page's title.
        images: PNG files by the links that the text has for them.
    """
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    contents = []
    for i, token in enumerate(tokens):
        for child in token.children or []:
            source = str(child.attrs.get("src", ""))
            if child.type == "image" and source in images:
                child.attrs["src"] = "data:image/png;base64," + base64.b64encode(images[source].read_bytes()).decode()
        if token.type == "heading_open" and token.tag == "h2":
            name = tokens[i + 1].content
            token.attrs["id"] = anchor = re.sub(r"\W+", "-", name.lower()).strip("-")
            contents.append(f'<a href="#{anchor}">{html.escape(name)}</a>')
    body = parser.renderer.render(tokens, parser.options, {})
    body = body.replace("<table>", '<div class="table"><table>').replace("</table>", "</table></div>")
    style = resources.files(__package__).joinpath("templates/report.css").read_text(encoding="utf-8")
    return PAGE.format(title=html.escape(title), style=style, contents="\n".join(contents), body=body)


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
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
