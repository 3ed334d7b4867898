"""A notebook with its outputs as a page of Markdown."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from nbconvert.exporters import MarkdownExporter
from traitlets.config import Config

_HEADING = re.compile(r"^# .*\n", re.MULTILINE)


def write_notebook_page(notebook: Path, folder: Path) -> None:
    """Write ``NAME.md``, the images of its outputs in ``NAME/`` and the notebook itself to ``folder``.

    Args:
        notebook: Notebook with outputs.
        folder: Folder of the page.
    """
    name = notebook.stem
    exporter = MarkdownExporter(config=Config({"ExtractOutputPreprocessor": {"output_filename_template": _TEMPLATE}}))
    text, resources = exporter.from_filename(str(notebook), resources={"unique_key": name})
    for file, content in resources["outputs"].items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else base64.b64decode(content))
    (folder / notebook.name).write_bytes(notebook.read_bytes())
    link = f"\n[Download this notebook]({notebook.name}){{: download }} and run it with `jupyter notebook`.\n"
    page = _HEADING.sub(lambda heading: heading[0] + link, text, count=1)
    (folder / f"{name}.md").write_text(page.replace("![png]", "![Output of the code above]"), encoding="utf-8")


_TEMPLATE = "{unique_key}/{cell_index}_{index}{extension}"
