"""Export a classifier to another runtime, and compare it there with the original before the folder gets its name."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from resnet50._io.fetch import Progress
from resnet50._io.files import DISK_FULL, atomic_folder, write_text
from resnet50._io.quiet import silenced
from resnet50._io.text import plural
from resnet50.data.images import fit_image
from resnet50.data.lazy_images import LazyImages
from resnet50.data.options import DEFAULT_OPTIONS, ReadOptions
from resnet50.datasets.source import DataSource
from resnet50.exporters.contract import QUANTIZED, Contract
from resnet50.exporters.images import find_images
from resnet50.exporters.own_thresholds import own_thresholds
from resnet50.exporters.web_runtime import fetch_runtime, find_runtime
from resnet50.graph.fold_model import fold_batch_norm
from resnet50.inference.classifier import Classifier
from resnet50.inference.locate import MANIFEST, locate
from resnet50.inference.runtimes import CHECKSUM, FEATURES, FORMATS, INSTALL, check_format, manifest_sha256, sha256
from resnet50.uncertainty.thresholds import FILE, Thresholds

TOLERANCES: Mapping[str, float] = {"fp32": 1e-4, "fp16": 0.01, "bf16": 0.05, "int8": 0.05, "uint8": 0.05}
"""For each precision, the largest error of an image's probabilities, as a mean over the images, 0..1.

The error may also not exceed three quarters of the mean deviation of an image's probabilities from their mean over all
images, so that an export that predicts the same for every image fails.
"""

_MAX_SHARE = 0.75  # of the mean deviation of the images

_STEP = 1 / 256  # of an 8-bit probability; deviations below it do not tell images apart

# images that a graph which fits images itself is tried on, and how far it may be off, as in `TOLERANCES`
_FITTED, _FIT_TOLERANCE = 8, 0.05

_ANY_SIZE = ("onnx", "web")

_BY_TENSORFLOW = ("saved_model", "litert")

_PACKAGES = {
    "saved_model": (),
    "onnx": ("onnx", "onnxruntime"),
    "web": ("onnx", "onnxruntime"),
    "openvino": ("onnx", "openvino"),
    "litert": ("ai_edge_litert",),
}


@dataclass(frozen=True)
class Comparison:
    """How far an export's probabilities are from those of the original.

    Attributes:
        images: Number of images that both classified.
        largest: Largest difference of a probability, 0..1.
        mean: Mean over the images of each image's largest difference, 0..1.
        agreement: Share of images with the same most probable class, 0..1.
        calibration_images: Number of images that int8 or uint8 was calibrated on; 0 for other precisions.
        thresholds: What the thresholds of the export are fitted on and how large they are; "" where it has none.
    """

    images: int
    largest: float
    mean: float
    agreement: float
    calibration_images: int = 0
    thresholds: str = ""


def export(
    model_or_run: Classifier | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    format: str,  # noqa: A002 - the word for it
    precision: str | None = None,
    any_size: bool = False,
    web_runtime: str | os.PathLike[str] | None = None,
    source: str | os.PathLike[str] | DataSource | None = None,
    options: ReadOptions = DEFAULT_OPTIONS,
    check: np.ndarray | LazyImages | None = None,
    calibration: np.ndarray | LazyImages | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Write a classifier for another runtime, with its batch norm folded, and compare it there with the original.

    The folder holds the runtime's files, ``labels.txt`` and ``resnet50.json``: the classifier's metadata, format,
    precision, how an image becomes the input, names of the tensors, and the hashes of each file and of itself.
    `Classifier.load` opens it. Its graph takes RGB float32 ``(n, height, width, 3)``, 0..255, for any ``n``, and gives
    probabilities, float32 ``(n, classes)``; with the precision ``"uint8"`` both are uint8.

    Args:
        model_or_run: A float32 classifier of Keras layers, its ``.keras`` file, or the folder of its run.
        out: The new folder to write.
        format: One of `resnet50.inference.runtimes.FORMATS`.
        precision: One of the format's precisions; None for its first, which is int8 for ``"web"`` and fp32 for others.
        any_size: Whether the graph fits images itself, for ONNX: it then takes one image, RGB uint8 ``(height, width,
            3)`` of any size, and differs on photos by what a pixel that is off by 2 changes (`onnx_fit`). The page of
            the format ``"web"`` always does.
        web_runtime: For the format ``"web"``, the folder with the files of ONNX Runtime Web, such as ``dist`` of the
            npm package onnxruntime-web; None for those in the cache, which are fetched once, 14 MB.
        source: Images to compare and calibrate on, where ``check`` or ``calibration`` is None; None for the images that
            the classifier was trained on.
        options: How to read a source that is a path.
        check: Images to compare on, RGB ``(n, height, width, 3)``, 0..255; None for some of the test split of the
            source.
        calibration: For int8 and uint8, images like those to come, from which the quantizer takes the ranges of the
            activations; some hundred are enough. None for some of the training images of the source.
        progress: Called while images of a source are decoded, with the number that is done and their number.

    Returns:
        How far the export is from the original.

    Raises:
        ValueError: If an argument is not as described, images are needed and cannot be found, a SavedModel or LiteRT
            file is to be written on a Keras backend other than TensorFlow, the format's converter fails, or the export
            differs from the original by more than its precision explains (`TOLERANCES`). Nothing is left behind then.
        FileNotFoundError: If there is no such model, its images are not there, or ``web_runtime`` lacks a file.
        OSError: If the disk is full, or the files of ONNX Runtime Web cannot be fetched (`DownloadError`).
        ImportError: If a package that the format needs is not installed.
    """
    precision = check_format(format, precision)
    if any_size and format not in _ANY_SIZE:
        raise ValueError(f"expected one of the formats {', '.join(_ANY_SIZE)} for images of any size, got {format}.")
    if web_runtime is not None and format != "web":
        raise ValueError(f"expected the format web for the files of ONNX Runtime Web, got {format}.")
    _check_packages(format, precision)
    if Path(out).exists():  # before images are read; `atomic_folder` has the last word
        raise ValueError(f"{out}: expected a new folder, got a name that is taken; remove it, or choose another name.")
    classifier, name, run = _open(model_or_run)
    _check_float32(classifier)
    beside: list[Path] = []
    if format == "web":
        _check_8_bits(classifier)
        beside = find_runtime(fetch_runtime() if web_runtime is None else web_runtime)
    own = None
    if check is None or (precision in QUANTIZED and calibration is None):
        found = find_images(classifier, name=name, run=run, source=source, options=options, progress=progress)
        own = found.own if calibration is None else None
        check = found.check.images if check is None else check
        calibration = found.calibration.images if calibration is None else calibration
    calibration = check[:0] if calibration is None else calibration
    if not len(check):
        raise ValueError("expected images to compare the export with the original on, got none.")
    if precision in QUANTIZED and not len(calibration):
        raise ValueError(f"expected images to calibrate {precision} on, got none.")

    expected = classifier.probabilities(check)
    any_size = any_size or format == "web"
    with _full_disk_reported(out), atomic_folder(out) as folder:
        for path in beside:
            shutil.copyfile(path, folder / path.name)
        contract = Contract.of(classifier, precision=precision, any_size=any_size)
        thresholds = None if precision in QUANTIZED else classifier.thresholds
        _write(classifier, contract, folder, out, format, precision, calibration)
        _describe(classifier, contract, thresholds, folder, format, precision)
        exported = Classifier.load(folder)
        if precision in QUANTIZED and own is not None and classifier.thresholds is not None:
            thresholds = own_thresholds(exported, classifier.thresholds, own)
            _describe(classifier, contract, thresholds, folder, format, precision)
            exported = Classifier.load(folder)
        comparison = _compare(expected, exported.probabilities(check))
        if any_size:
            by_pillow, inside = _fitted(exported, folder, np.asarray(check[:_FITTED]))
            _check_close(out, _compare(by_pillow, inside), by_pillow, _FIT_TOLERANCE)
        _check_close(out, comparison, expected, TOLERANCES[precision])
    return replace(
        comparison,
        calibration_images=len(calibration) if precision in QUANTIZED else 0,
        thresholds="" if thresholds is None else str(thresholds),
    )


def _open(model_or_run: Classifier | str | os.PathLike[str]) -> tuple[Classifier, str, Path | None]:
    """Return a classifier, its name for errors, and the folder of its run if it has one."""
    if isinstance(model_or_run, Classifier):
        by_keras = replace(model_or_run, network=model_or_run.model)  # what an export is compared with
        return by_keras, f"the classifier of {model_or_run.dataset}", None
    located = locate(model_or_run)
    return Classifier.load(located.model, runtime="keras"), str(located.model), located.run


def _check_packages(name: str, precision: str) -> None:
    """Refuse a format whose packages are not installed, or that Keras' backend cannot write."""
    if name in _BY_TENSORFLOW and keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"expected Keras' TensorFlow backend for the format {name}, got {keras.backend.backend()}; set "
            "KERAS_BACKEND=tensorflow, or choose onnx or openvino."
        )
    packages = (*_PACKAGES[name], *(["nncf"] if (name, precision) == ("openvino", "int8") else []))
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ImportError(f"expected {', '.join(missing)} to export to {name}, got none installed; {INSTALL}.")


def _check_float32(classifier: Classifier) -> None:
    for layer in classifier.model.layers:
        if layer.dtype_policy.name != "float32":
            raise ValueError(
                f"expected a float32 model to export, got one that computes {layer.name!r} as "
                f"{layer.dtype_policy.name}; save it in float32."
            )


def _check_8_bits(classifier: Classifier) -> None:
    if classifier.fit.value_range is not None:
        raise ValueError(
            "expected a classifier of images of 8 bits for the format web, since browsers read no more, got one of "
            "deep images, with the value range {:g} to {:g}; choose another format.".format(*classifier.fit.value_range)
        )


@contextmanager
def _full_disk_reported(out: str | os.PathLike[str]) -> Iterator[None]:
    """Name the export, not the temporary file or the one that was copied."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise OSError(
            f"{out}: expected room for the export, got a full disk; make room, or choose another place."
        ) from error


def _write(
    classifier: Classifier,
    contract: Contract,
    folder: Path,
    out: str | os.PathLike[str],
    name: str,
    precision: str,
    calibration: np.ndarray | LazyImages,
) -> None:
    """Write the files of the runtime, the class names and the description of it all."""
    try:
        with silenced():
            exporter = importlib.import_module(f"resnet50.exporters.{name}")  # it needs the format's packages
            exporter.write(fold_batch_norm(classifier.model), folder, precision, calibration, contract)
    except OSError:
        raise
    except Exception as error:  # each converter raises classes of its own
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{out}: cannot be written as {name}, {precision} ({reason}).") from error
    write_text(folder / "labels.txt", contract.labels)


def _describe(
    classifier: Classifier,
    contract: Contract,
    thresholds: Thresholds | None,
    folder: Path,
    name: str,
    precision: str,
) -> None:
    """Write the thresholds and the description of an export; its own metadata tell the thresholds where they can."""
    (folder / MANIFEST).unlink(missing_ok=True)
    own = None if thresholds is None else thresholds.to_dict(len(classifier.class_names))
    if thresholds is not None:
        (folder / FILE).write_bytes(thresholds.to_bytes())
        exporter = importlib.import_module(f"resnet50.exporters.{name}")
        if contract.thresholds is None and hasattr(exporter, "add_texts"):
            with silenced():
                exporter.add_texts(folder, replace(contract, thresholds=own).texts())
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    tensors = dict(zip(("input", "output"), FORMATS[name].tensors, strict=True))
    description = {
        "format": name,
        "precision": precision,
        "image_size": classifier.image_size,
        "image": contract.image,
        "tensors": {**tensors, **({FEATURES: FORMATS[name].features} if contract.features else {})},
        "thresholds": own,
        "files": {path.relative_to(folder).as_posix(): sha256(path) for path in paths},
    }
    manifest = json.loads(
        json.dumps({**classifier.metadata(), "export": description})
    )  # tuples become lists, as in the file
    manifest["export"][CHECKSUM] = manifest_sha256(manifest)
    write_text(folder / MANIFEST, json.dumps(manifest, indent=2))


def _compare(expected: np.ndarray, exported: np.ndarray) -> Comparison:
    differences = np.abs(expected - exported).max(axis=1)
    agreement = expected.argmax(axis=1) == exported.argmax(axis=1)
    return Comparison(len(expected), float(differences.max()), float(differences.mean()), float(agreement.mean()))


def _fitted(exported: Classifier, folder: Path, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an export's probabilities for images that Pillow has fitted, and for those that the graph itself fits."""
    import onnxruntime

    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    height, width = exported.image_size
    larger = (round(2.3 * width), round(1.7 * height))  # of another shape
    others = [np.asarray(Image.fromarray(image).resize(larger, Image.Resampling.BICUBIC)) for image in images]
    inside = np.concatenate([session.run(None, {"image": image})[0] for image in others])
    fitted = [fit_image(image, height=height, width=width, fit=exported.fit) for image in others]
    return exported.probabilities(np.stack(fitted)), inside


def _check_close(out: str | os.PathLike[str], comparison: Comparison, expected: np.ndarray, tolerance: float) -> None:
    """Refuse an export that is too far from the original."""
    deviation = float(np.abs(expected - expected.mean(axis=0)).max(axis=1).mean())
    limit = min(tolerance, max(_MAX_SHARE * deviation, _STEP))
    if not comparison.mean <= limit:  # NaN compares false
        raise ValueError(
            f"{out}: expected probabilities that differ from the original's by at most {limit:.2g}, as a mean over "
            f"{plural(comparison.images, 'image')}, got {comparison.mean:.2g} (largest {comparison.largest:.2g}; the "
            f"same most probable class for {comparison.agreement:.1%}); choose another precision."
        )
