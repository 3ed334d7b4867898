"""``resnet50 export``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from resnet50._io.files import check_new
from resnet50._io.quiet import quiet
from resnet50._io.shell import command
from resnet50._io.text import plural
from resnet50.cli import read_options
from resnet50.cli.console import say, show, step
from resnet50.cli.model import MODEL_HELP, find_model, load_keras
from resnet50.cli.parser import examples


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    from resnet50.inference.runtimes import FORMATS

    precisions = dict.fromkeys(precision for runtime in FORMATS.values() for precision in runtime.precisions)
    parser.epilog = examples(
        "resnet50 export runs/one model-openvino --format openvino",
        "resnet50 export runs/one model-int8 --format onnx --precision int8",
        "resnet50 export runs/one page --format web",
        "resnet50 predict new.jpg --model model-openvino",
    )
    parser.add_argument("model", metavar="MODEL_OR_RUN", help=MODEL_HELP)
    parser.add_argument("out", metavar="OUT", help="New folder to write.")
    parser.add_argument("--format", choices=tuple(FORMATS), required=True, help="Runtime that will open it.")
    parser.add_argument(
        "--precision",
        choices=tuple(precisions),
        help="Precision of the computation; not every format has every one. Default: int8 for web, else fp32.",
    )
    parser.add_argument(
        "--input",
        choices=("fitted", "any-size"),
        default="fitted",
        help="What the network takes: images of its size, or, for onnx, one image of any size, which it fits itself. "
        "Default: fitted; for web it is always any-size.",
    )
    parser.add_argument(
        "--runtime",
        metavar="DIR",
        help="For web: folder with the files of ONNX Runtime Web. Default: those in the cache, fetched once, 14 MB.",
    )
    parser.add_argument(
        "--data",
        metavar="PATH",
        help="Folder, CSV file or h5 file of images to calibrate int8 and uint8 on and to compare on. "
        "Default: those of the training.",
    )
    read_options.add_read_options(parser, "pattern")


def run(options: argparse.Namespace) -> int:
    """Write the export, and print how far it is from the original."""
    from resnet50.inference.runtimes import check_format

    precision = check_format(options.format, options.precision)
    if options.pattern is not None and options.data is None:
        raise ValueError("--pattern: expected --data, which it applies to, got none; give it.")
    check_new(options.out)
    path, chosen = find_model(options.model), read_options.read_options(options)
    if options.format == "web" and options.runtime is None:
        _fetch_web_runtime()

    load_keras()
    from resnet50.exporters.export import export

    with quiet() as terminal, step("exporting", file=terminal) as progress:
        result = export(
            options.model,
            options.out,
            format=options.format,
            precision=precision,
            any_size=options.input == "any-size",
            web_runtime=options.runtime,
            source=options.data,
            options=chosen,
            progress=progress,
        )
    size = sum(file.stat().st_size for file in Path(options.out).rglob("*") if file.is_file())
    on = f", calibrated on {plural(result.calibration_images, 'image')}" if result.calibration_images else ""
    say(f"{options.out}: {options.format}, {precision}, {size / 1e6:.1f} MB{on}")
    say(
        f"compared with {path} on {plural(result.images, 'image')}: probabilities differ by {result.mean:.2g} on "
        f"average, {result.largest:.2g} at most; the most probable class is the same for {result.agreement:.1%}"
    )
    say(f"thresholds: {result.thresholds or 'none, so that it gives no prediction sets and refuses nothing'}")
    if options.format == "web":
        show(f"try it: python -m http.server 8000 --directory {command(options.out)}, then http://localhost:8000")
    return 0


def _fetch_web_runtime() -> None:
    """Fetch ONNX Runtime Web into the cache, with a notice of its size, unless it is there."""
    from resnet50.exporters.web_runtime import VERSION, fetch_runtime, missing_bytes

    if size := missing_bytes():
        say(f"Fetching onnxruntime-web {VERSION} into the cache, {size / 1e6:.0f} MB, once.", file=sys.stderr)
        with step("fetching ONNX Runtime Web", in_bytes=True) as progress:
            fetch_runtime(progress=progress)
