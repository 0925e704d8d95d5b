"""Tables of texts in a notebook: with their line breaks, and inert whatever a model has written."""

from __future__ import annotations

from typing import Any

_TEXT = [("text-align", "left"), ("vertical-align", "top"), ("white-space", "pre-wrap")]
STYLES = [
    {"selector": "td", "props": [*_TEXT, ("max-width", "30em")]},
    {"selector": "th", "props": [*_TEXT, ("max-width", "20em")]},
]


def text_table(table: Any) -> Any:
    """Returns a table as it is easy to read where cells hold whole texts.

    Args:
        table: a DataFrame of pandas.

    Returns:
        Its Styler, which a notebook shows; numbers have two decimals.
    """
    styler = table.style.format(escape="html", precision=2, na_rep="")
    for axis in ("index", "columns"):
        styler = styler.format_index(escape="html", axis=axis)
    if table.index.nlevels == 1 and table.index.name is None and table.index.dtype.kind == "i":  # mere numbers
        styler = styler.hide(axis="index")
    return styler.set_table_styles(STYLES)
