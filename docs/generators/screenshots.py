"""Draw the images of README: a terminal and the report that its commands wrote.

The images are drawn hands, so that they may be shown.

Run: ``make screenshots``, which needs Chromium; it writes ``images/terminal.svg``, ``images/report.png`` and
``images/report-dark.png``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from generators.terminal import draw_terminal
from resnet50 import rendered_signs

IMAGES = Path(__file__).resolve().parents[2] / "images"

COMMANDS = (
    "resnet50 train hands --weights none --image-size 64 --epochs 24 --out runs/hands",
    "resnet50 predict new.png",
    "resnet50 export runs/hands shipped --format onnx --precision int8",
    "resnet50 predict new.png --model shipped",
)

WINDOW = (760, 1424)
"""Width and height of the screenshot of the report in pixels."""

_SCHEMES = ("dark", "light")  # Chromium's numbers


def main() -> None:
    """Run the commands on drawn hands, and draw the terminal and the report."""
    with TemporaryDirectory() as work:
        os.chdir(work)
        os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        os.environ["RESNET50_CACHE"] = str(Path(work, "cache"))
        write_hands(Path("hands"), Path("new.png"))
        draw_terminal(COMMANDS, IMAGES / "terminal.svg")
        screenshot(Path("runs", "hands", "report.html"), IMAGES / "report.png", scheme="light")
        screenshot(Path("runs", "hands", "report.html"), IMAGES / "report-dark.png", scheme="dark")


def write_hands(folder: Path, new: Path) -> None:
    """Write drawn hands as class folders, and one more hand."""
    train, test = rendered_signs()
    for number, (image, label) in enumerate(zip(train.images, train.labels, strict=True)):
        path = folder / f"shows {train.class_names[label]}" / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    Image.fromarray(test.images[1]).save(new)


def screenshot(page: Path, path: Path, *, scheme: str) -> None:
    """Save the top of a page as an image, for light or dark pages."""
    size = ",".join(str(pixels) for pixels in WINDOW)
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={size}"]
    scheme_option = f"--blink-settings=preferredColorScheme={_SCHEMES.index(scheme)}"
    command = ["chromium", *options, scheme_option, f"--screenshot={path}", page.resolve().as_uri()]
    subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    main()
