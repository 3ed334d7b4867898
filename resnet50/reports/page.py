"""A page that stands alone: one HTML file with its images inside, which needs no network and runs no script."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

import numpy as np
from PIL import Image

from resnet50.audit.issue import SEVERITIES
from resnet50.plots import theme
from resnet50.plots.save import DPI

LARGEST = 224
"""Most pixels along a side of an image on a page; a larger one is made smaller."""

_LOSSLESS = 96  # up to this side; a JPEG's noise shows where few pixels are drawn large


@dataclass(frozen=True)
class PageImage:
    """An image and the lines of text under it.

    Attributes:
        image: RGB, uint8, ``(height, width, 3)``, 0..255.
        lines: Text; the first line is the one that is read first.
    """

    image: np.ndarray
    lines: tuple[str, ...] = ()


class Page:
    """A page that is written from top to bottom. Whatever text it is given is shown as it is: it is never markup."""

    def __init__(self, title: str, subtitle: str = "") -> None:
        """Begin a page.

        Args:
            title: Title of the page.
            subtitle: A line under it; empty for none.
        """
        self.title = title
        self._body = [f"<h1>{_escape(title)}</h1>", *([f'<p class="sub">{_escape(subtitle)}</p>'] if subtitle else [])]

    def add_heading(self, text: str) -> None:
        """Begin a section."""
        self._body.append(f"<h2>{_escape(text)}</h2>")

    def add_paragraph(self, text: str) -> None:
        """Add a paragraph of plain text."""
        self._body.append(f"<p>{_escape(text)}</p>")

    def add_command(self, text: str) -> None:
        """Add something to type, which is never broken into lines."""
        self._body.append(f"<pre>{_escape(text)}</pre>")

    def add_facts(self, facts: Sequence[tuple[str, str, str]]) -> None:
        """Add the few numbers that are read first.

        Args:
            facts: Name, value and remark of each; the remark may be empty.
        """
        tiles = (
            f"<div><dt>{_escape(name)}</dt><dd>{_escape(value)}</dd><dd>{_escape(remark)}</dd></div>"
            for name, value, remark in facts
        )
        self._body.append(f'<dl class="facts">{"".join(tiles)}</dl>')

    def add_note(self, severity: str, text: str, advice: str = "") -> None:
        """Add something that the reader should know.

        Args:
            severity: ``"error"``, ``"warning"`` or ``"note"``.
            text: What it is, in a line.
            advice: What to do; empty for nothing.

        Raises:
            ValueError: If there is no such severity.
        """
        if severity not in SEVERITIES:
            raise ValueError(f"severity must be one of {', '.join(SEVERITIES)}, got {severity!r}.")
        more = f"<br><span>{_escape(advice)}</span>" if advice else ""
        self._body.append(f'<p class="note {severity}"><b>{severity}</b> {_escape(text)}{more}</p>')

    def add_figure(self, path: str | os.PathLike[str], description: str) -> None:
        """Add a figure; on a narrow screen it stays readable and is scrolled sideways.

        Args:
            path: PNG file that `resnet50.plots.save.save_figure` made.
            description: What it shows, for those who cannot see it.
        """
        buffer = io.BytesIO(Path(path).read_bytes())
        wide = Image.open(buffer).width / DPI * 72  # at its own size, a point of text is a pixel
        self._body.append(
            f'<div class="figure"><img src="{_data(buffer, "png")}" alt="{_escape(description)}" '
            f'style="width:{wide:.0f}px;min-width:{0.62 * wide:.0f}px"></div>'
        )

    def add_images(self, groups: Sequence[Sequence[PageImage]]) -> None:
        """Add images in rows, as many beside each other as the screen is wide.

        Args:
            groups: Images that belong together, such as two that are nearly the same, stay beside each other.
        """
        shown = ("".join(_image(one) for one in group) for group in groups)
        self._body.append(f'<div class="images">{"".join(f"<div>{group}</div>" for group in shown)}</div>')

    def add_table(
        self, header: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1, unfolded: int = 30
    ) -> None:
        """Add a table.

        Args:
            header: Name of each column.
            rows: A text for each column, as it is to be shown.
            texts: The first so many columns hold words; those after them hold numbers, which stand to the right.
            unfolded: Rows that are shown at once; the others are behind a line that opens them.

        Raises:
            ValueError: If a row has not as many texts as there are columns.
        """
        for row in rows:
            if len(row) != len(header):
                raise ValueError(f"expected {len(header)} texts in a row, got {len(row)} ({', '.join(row)}).")
        self._body.append(_table(header, rows[:unfolded], texts))
        if rest := rows[unfolded:]:
            words = f"{len(rest):,} more row{'s' * (len(rest) > 1)}"
            self._body.append(f"<details><summary>{words}</summary>{_table(header, rest, texts)}</details>")

    def html(self) -> str:
        """Return the page as HTML text, for a file in UTF-8."""
        return _PAGE.substitute(title=_escape(self.title), style=_STYLE, body="\n".join(self._body))


def _escape(text: str) -> str:
    """Return the text as HTML; what a file name holds that is no Unicode becomes a question mark."""
    return html.escape(text.encode("utf-8", "replace").decode())


def _data(buffer: io.BytesIO, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _image(image: PageImage) -> str:
    pixels = Image.fromarray(np.ascontiguousarray(image.image))
    pixels.thumbnail((LARGEST, LARGEST))
    kind = "png" if max(pixels.size) <= _LOSSLESS else "jpeg"
    buffer = io.BytesIO()
    pixels.save(buffer, kind, **({} if kind == "png" else {"quality": 88}))
    lines = "".join(f"<span>{_escape(line)}</span>" for line in image.lines)
    alt = _escape("; ".join(image.lines))
    return f'<figure><img src="{_data(buffer, kind)}" alt="{alt}"><figcaption>{lines}</figcaption></figure>'


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], texts: int) -> str:
    def line(cells: Sequence[str], tag: str) -> str:
        marks = [""] * texts + [' class="number"'] * (len(cells) - texts)
        return "".join(f"<{tag}{mark}>{_escape(cell)}</{tag}>" for mark, cell in zip(marks, cells, strict=True))

    body = "\n".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    head = f"<tr>{line(header, 'th')}</tr>"
    return f'<div class="table"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>'


# The policy forbids scripts and every request: what should slip through `_escape` still does nothing.
_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>$style</style>
</head>
<backbone>
$backbone
</backbone>
</html>
""")

_STYLE = Template("""
:root { --ink: $ink; --muted: $muted; --faint: $faint; --paper: #fff; --raised: #f6f8fa;
  --error: $error; --warning: $warning; --note: $note; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ed; --muted: #a3afbc; --faint: #3a434d; --paper: #15191e;
  --raised: #1f252c; --error: #f0806a; --warning: #f0a35e; --note: #82b0e0; } }
* { box-sizing: border-box; }
backbone { margin: 0 auto; max-width: 1080px; padding: 24px 20px 64px; color: var(--ink); background: var(--paper);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 26px; line-height: 1.2; margin: 8px 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 19px; line-height: 1.3; margin: 40px 0 8px; padding-top: 14px; border-top: 1px solid var(--faint); }
p { max-width: 76ch; margin: 8px 0 14px; overflow-wrap: anywhere; }
pre { overflow-x: auto; margin: 8px 0 14px; padding: 8px 14px; font-size: 13px; background: var(--raised);
  border-radius: 4px; }
.sub { color: var(--muted); margin-top: 0; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 10px; margin: 20px 0; }
.facts div { background: var(--raised); border-radius: 8px; padding: 10px 14px; }
.facts dt { color: var(--muted); font-size: 13px; }
.facts dd { margin: 0; font-size: 13px; color: var(--muted); font-variant-numeric: tabular-nums; }
.facts dt + dd { font-size: 23px; line-height: 1.3; font-weight: 600; color: var(--ink); overflow-wrap: anywhere; }
.note { max-width: none; padding: 8px 14px; margin: 8px 0; background: var(--raised); border-radius: 4px;
  border-left: 4px solid var(--note); }
.note b { color: var(--note); margin-right: 6px; }
.note span { color: var(--muted); }
.note.warning { border-color: var(--warning); }
.note.warning b { color: var(--warning); }
.note.error { border-color: var(--error); }
.note.error b { color: var(--error); }
.figure { overflow-x: auto; margin: 14px 0; padding: 8px; background: #fff; border: 1px solid var(--faint);
  border-radius: 8px; width: fit-content; max-width: 100%; }
.figure img { display: block; max-width: 100%; height: auto; }
.images { display: flex; flex-wrap: wrap; gap: 18px 22px; margin: 14px 0; }
.images > div { display: flex; flex-wrap: wrap; gap: 8px; }
.images figure { margin: 0; width: 150px; }
.images img { display: block; width: 100%; border-radius: 4px; }
figcaption span { display: block; font-size: 13px; line-height: 1.35; color: var(--muted); overflow-wrap: anywhere; }
figcaption span:first-child { color: var(--ink); margin-top: 4px; }
.table { overflow-x: auto; margin: 10px 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; min-width: min(100%, 560px); }
th, td { text-align: left; padding: 4px 12px 4px 0; border-bottom: 1px solid var(--faint); vertical-align: top; }
th { color: var(--muted); font-weight: 500; font-size: 13px; vertical-align: bottom; }
td:first-child { overflow-wrap: anywhere; min-width: 16ch; }
.number { text-align: right; padding: 4px 8px; white-space: nowrap; }
summary { cursor: pointer; color: var(--muted); padding: 6px 0; }
@media (max-width: 480px) { backbone { padding: 12px 16px 40px; } .images { gap: 16px; }
  table { font-size: 14px; } .number { padding: 4px 5px; }
  td:first-child { min-width: 10ch; }
  .facts { grid-template-columns: repeat(2, 1fr); } .images figure { width: min(150px, calc(50vw - 21px)); } }
@media print { backbone { max-width: none; padding: 0; } h2 { break-after: avoid; }
  .figure, .images > div, .note, tr { break-inside: avoid; }
  details::details-content { content-visibility: visible; } }
""").substitute(
    ink=theme.INK,
    muted=theme.MUTED,
    faint=theme.FAINT,
    error=theme.WRONG,
    warning=theme.VALIDATION,
    note=theme.TRAINING,
)
