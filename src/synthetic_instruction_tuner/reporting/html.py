"""A self-contained HTML file: figures embedded, no scripts, no external fonts or styles."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from synthetic_instruction_tuner.escaping import html, one_line
from synthetic_instruction_tuner.reporting.language.translation import spoken, term
from synthetic_instruction_tuner.reporting.sections.numbering import anchor

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token


# Nothing from outside: the page's own styles, and images that are in it.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
FOLD = re.compile(r"<details><summary>(.*)</summary>")
UNFOLD = "</details>"
INTERVAL = re.compile(r"([−\d.]+ ± [\d.]+) (\[[−\d.]+,\s[−\d.]+\])")  # a score, its error, and its interval
LONGEST_WORD = 24  # characters; in a cell, longer ones are broken
NARROW = 3  # columns up to which a table fits a telephone


def render_html(text: str, title: str, images: Mapping[str, Path], links: Collection[str] = ()) -> str:
    """Returns the Markdown text as a page.

    HTML inside the text is shown as text, not interpreted, but for a line that begins or ends a part that folds. There
    are no links but those to headings of the page and to the given places, and no images but the embedded ones; the
    page's policy forbids the browser to load anything.

    Args:
        text: Markdown with tables.
        title: the page's title.
        images: PNG files by the links that the text has for them.
        links: other places that the text may link to.
    """
    parser = _parser([*images, *links])
    tokens = parser.parse(text)
    titles = []
    for i, token in enumerate(tokens):
        for child in token.children or []:
            if child.type == "image":
                _embed(child, images)
        if token.type == "heading_open" and token.tag == "h2":
            titles.append(tokens[i + 1].content)
            token.attrs["id"] = anchor(titles[-1])
        if token.type == "inline" and _is_caption(token):
            tokens[i - 1].attrs["class"] = "caption"
    _label_cells(tokens)
    body = parser.renderer.render(_folded(tokens, parser), parser.options, {})
    style = resources.files(__package__).joinpath("templates/report.css").read_text(encoding="utf-8")
    body = body.replace("<table ", '<div class="table"><table ').replace("</table>", "</table></div>")
    return PAGE.format(
        language=spoken(),
        policy=POLICY,
        title=html(title),
        style=style,
        contents=_navigation(titles),
        body=body,
    )


def _parser(targets: Collection[str]) -> MarkdownIt:
    """Reads Markdown in which a link or an image that leads anywhere else is plain text."""
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["autolink", "reference"])
    allowed = {parser.normalizeLink(target) for target in targets}
    parser.validateLink = lambda url: url in allowed or re.fullmatch(r"#[\w%-]+", url) is not None  # type: ignore[method-assign]
    return parser


def _navigation(titles: Sequence[str]) -> str:
    """Returns the links above the page: to its contents, which come first, and to its numbered sections."""
    shown = [*titles[:1], *(title for title in titles[1:] if title[:1].isdigit())]
    return "\n".join(f'<a href="#{anchor(title)}">{html(title)}</a>' for title in shown)


def _label_cells(tokens: Sequence[Token]) -> None:
    """Says which tables are wide, and gives each cell the heading of its column.

    On a narrow screen the rows of a wide table are shown as lists of cells with these headings, so that none is cut.
    """
    heads: list[str] = []
    column, table = 0, None
    for i, token in enumerate(tokens):
        match token.type:
            case "table_open":
                heads, table = [], token
            case "tr_open":
                column = 0
            case "th_open":
                heads.append(one_line(_plain(tokens[i + 1])))
            case "td_open":
                token.attrs["data-label"] = heads[column]
                column += 1
                if max(map(len, _plain(tokens[i + 1]).split()), default=0) > LONGEST_WORD:
                    token.attrs["class"] = "long"
                elif found := INTERVAL.fullmatch(_plain(tokens[i + 1])):
                    tokens[i + 1].children = _lines(found.groups())
            case "thead_close" if table is not None:
                table.attrs["class"] = "wide" if len(heads) > NARROW else "narrow"


def _lines(texts: Sequence[str]) -> list[Token]:
    """Returns texts below each other as the content of a cell."""
    from markdown_it.token import Token

    return [token for text in texts for token in (Token("hardbreak", "br", 0), Token("text", "", 0, content=text))][1:]


def _plain(token: Token) -> str:
    """The text of a cell, or of an image's description, without its markup."""
    return "".join(child.content for child in token.children or [])


def _is_caption(token: Token) -> bool:
    """Whether a paragraph begins with the number of a figure or a table, in bold: no text of a run can."""
    kinds = [child.type for child in (token.children or [])[:4]]
    start = kinds[:1] == ["text"] and kinds[1:2] == ["strong_open"]  # markdown-it puts an empty text before it
    place = 2 if start else 1
    bold = kinds[place - 1 : place] == ["strong_open"]
    if not bold or token.children is None:
        return False
    named = "|".join(re.escape(term(kind)) for kind in ("Figure", "Table"))
    return re.fullmatch(rf"(?:{named}) \d+\.", token.children[place].content) is not None


def _folded(tokens: list[Token], parser: MarkdownIt) -> list[Token]:
    """Replaces the lines that begin and end a folding part, each a paragraph of its own, by elements of the page."""
    found: list[Token] = []
    for i, token in enumerate(tokens):
        if token.type != "inline" or tokens[i - 1].type != "paragraph_open":
            found.append(token)
            continue
        begin = FOLD.fullmatch(token.content)
        if not begin and token.content != UNFOLD:
            found.append(token)
            continue
        token.type, token.children = "html_block", None
        summary = parser.renderInline(begin[1]) if begin else ""
        token.content = f"<details><summary>{summary}</summary>\n" if begin else f"{UNFOLD}\n"
        found[-1].hidden = tokens[i + 1].hidden = True  # the paragraph around it
        found.append(token)
    return found


def _embed(image: Token, images: Mapping[str, Path]) -> None:
    """Puts the file into the page; of an image that is none of the figures, its description stays.

    A click enlarges a figure to its own size, and another one makes it fit again; no script is needed for that.
    """
    path = images.get(str(image.attrs["src"]))
    if path is None:
        image.type, image.tag, image.children = "text", "", None
    else:
        data = base64.b64encode(path.read_bytes()).decode()
        image.type = "html_inline"
        image.content = FIGURE.format(data=data, what=html(_plain(image)))


FIGURE = '<label class="figure"><input type="checkbox"><img src="data:image/png;base64,{data}" alt="{what}"></label>'
PAGE = """<!DOCTYPE html>
<html lang="{language}">
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
