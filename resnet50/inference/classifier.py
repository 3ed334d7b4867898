"""The classifier: a model with its class names, in one ``.keras`` file or in an export for another runtime.

Plain ``keras.saving.load_model`` opens a ``.keras`` file without this package; this module also reads the metadata
in it. Keras is imported to write a file, where ``runtime="keras"`` asks for it, and for layers that ONNX does not
express.
"""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resnet50._io.fetch import Progress
from resnet50._io.files import atomic_path
from resnet50._io.keras_settings import keras_defaults
from resnet50._io.limits import IMAGE_SIDE, check_class_names
from resnet50._io.quiet import quiet
from resnet50._io.text import check_printable, listed, short
from resnet50.data.fit import DEFAULT_FIT, Fit
from resnet50.data.images import ImageLike, fit_image
from resnet50.data.lazy_images import LazyImages
from resnet50.inference.batching import forward_array
from resnet50.inference.locate import PRECISIONS, Located, locate
from resnet50.inference.prediction import Doubt, Prediction, name_classes
from resnet50.inference.recipe_record import check_recipe
from resnet50.inference.runtimes import FEATURES, Network, NoGraphError, open_network, read_manifest, sha256
from resnet50.uncertainty.shares import COVERAGE, REFUSE
from resnet50.uncertainty.thresholds import FILE, Judgement, Thresholds, read_file, read_member
from resnet50.weights.keras_files import (
    CLASSIFIER_MEMBER,
    CONFIG_MEMBER,
    check_archive,
    check_complete,
    read_small,
    reading,
)
from resnet50.weights.registry import without_folder

if TYPE_CHECKING:
    import keras

    from resnet50.datasets.source import DataSource


@dataclass(frozen=True)
class Classifier:
    """A trained model with its class names and its origin.

    Attributes:
        network: From RGB ``(batch, height, width, 3)``, 0..255, to probabilities ``(batch, classes)``; float32. A Keras
            model, or one in another runtime, which predicts and has no layers.
        class_names: Name of each output.
        dataset: Name of the dataset that the model was trained on.
        fingerprint: SHA-256 of the training images (`Dataset.fingerprint`).
        recipe: Every number of the training. With pretrained weights, ``weights_sha256`` is the hash of their arrays.
        metrics: Scores on the test split, such as ``{"accuracy": 0.983}``.
        fit: How images are fitted to the model's size, as for its training.
        thresholds: When it names several classes, or none of them; None where no images were left to fit them on, and
            in a precision that they were not fitted for.

    Raises:
        ValueError: If the model does not take images of one size, or the number of outputs is not that of the names, or
            the recipe has impossible values.
    """

    network: keras.Model | Network = field(repr=False)
    class_names: tuple[str, ...]
    dataset: str
    fingerprint: str
    recipe: Mapping[str, Any] = field(repr=False)
    metrics: Mapping[str, float]
    fit: Fit = DEFAULT_FIT
    thresholds: Thresholds | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        shape = self.network.input_shape
        if len(shape) != 4 or None in shape[1:]:
            raise ValueError(f"expected a model for images of one size, (None, height, width, 3), got {shape}.")
        if max(shape[1:]) > IMAGE_SIDE:
            raise ValueError(f"expected a model for images of at most {IMAGE_SIDE:,} pixels a side, got {shape}.")
        if self.network.output_shape[-1] != len(self.class_names):
            raise ValueError(
                f"expected a class name for each of the model's {self.network.output_shape[-1]} outputs, got "
                f"{len(self.class_names)} ({listed(self.class_names)})."
            )
        check_recipe(self.recipe)  # a file with another could not be opened

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels of the model's input."""
        _, height, width, _ = self.network.input_shape
        return height, width

    @property
    def precision(self) -> str:
        """Precision of the computation: ``"fp32"``, ``"bf16"`` or ``"int8"``, or another one of an export."""
        return self.network.precision if isinstance(self.network, Network) else "fp32"

    @cached_property
    def model(self) -> keras.Model:
        """The Keras model; it is read from the file at its first use where the classifier answers without Keras.

        Raises:
            ValueError: If the classifier is an export, or the file has changed meanwhile.
        """
        if not isinstance(self.network, Network):
            return self.network
        if self.network.source is None:
            raise NoGraphError(_NO_LAYERS)
        if not self.network.source.is_file() or sha256(self.network.source) != self.network.sha256:
            raise ValueError(
                f"{self.network.source}: expected the file that was opened, got another or none; open it again."
            )
        return _load_keras(self.network.source)

    @cached_property
    def features(self) -> keras.Model | Network:
        """The part below the last dense layer, from images to its input, float32 ``(n, d)``.

        Raises:
            ValueError: If there is no dense layer, or the classifier is an export.
        """
        if isinstance(self.network, Network) and FEATURES in self.network.outputs:
            return self.network.outputs[FEATURES]
        from resnet50.inference.features import feature_model

        return feature_model(self.model)

    @cached_property
    def answering(self) -> keras.Model | Network:
        """The network that gives rows for `judge`: probabilities and, where images are compared, features behind them.

        Float32 ``(n, classes)``, or ``(n, classes + d)``.
        """
        if self.thresholds is None or not self.thresholds.refuses:
            return self.network
        if isinstance(self.network, Network) and self.network.with_features is not None:
            return self.network.with_features
        if isinstance(self.network, Network) and self.network.source is None:
            return self.network  # an export without features
        return self._with_features

    @cached_property
    def _with_features(self) -> keras.Model:
        from resnet50.inference.features import with_features

        return with_features(self.model)

    def answer(self, images: np.ndarray | LazyImages, *, batch_size: int = 64) -> tuple[np.ndarray, np.ndarray]:
        """Classify images of the model's size, and return the features behind the answers, all at once.

        Args:
            images: As for `probabilities`.
            batch_size: Images in one forward pass.

        Returns:
            Probabilities, float32 ``(n, classes)``, and the inputs of the last dense layer, float32 ``(n, d)``.

        Raises:
            ValueError: As for `probabilities`; also if there is no dense layer, or the classifier is an export.
        """
        rows = forward_array(self._with_features, images, batch_size=batch_size)
        return rows[:, : len(self.class_names)], rows[:, len(self.class_names) :]

    def refitted(self, thresholds: Thresholds | None) -> Classifier:
        """Return the classifier with these thresholds; a network that is compiled for `answer` is not built again."""
        classifier = replace(self, thresholds=thresholds)
        if "_with_features" in vars(self):
            vars(classifier)["_with_features"] = self._with_features
        return classifier

    def judge(
        self, rows: np.ndarray, *, coverage: float | None = COVERAGE, refuse: float | None = REFUSE
    ) -> Judgement | None:
        """Return the prediction sets of images, and which are refused; None without `thresholds`.

        Args:
            rows: Outputs of `answering` for the images, float ``(n, ...)``.
            coverage: Share of images whose class is to be in their set, above 0 and below 1; None for no sets.
            refuse: Share of images like the training's that may be refused, above 0 and below 1; None for no refusal.

        Raises:
            ValueError: If a share is not between 0 and 1.
        """
        if self.thresholds is None:
            return None
        classes = len(self.class_names)
        distances = None
        if refuse is not None and rows.shape[1] > classes:
            distances = self.thresholds.measure(rows[:, classes:])
        return self.thresholds.judge(rows[:, :classes], distances, coverage=coverage, refuse=refuse)

    def doubts(
        self, rows: np.ndarray, *, coverage: float | None = COVERAGE, refuse: float | None = REFUSE
    ) -> list[Doubt]:
        """Return what `judge` says about each image, with the names of the classes."""
        judged = self.judge(rows, coverage=coverage, refuse=refuse)
        if judged is None:
            return [Doubt()] * len(rows)
        return [
            Doubt(
                None if judged.sets is None else name_classes(row, self.class_names, judged.sets[k]),
                None if judged.refused is None else bool(judged.refused[k]),
                None if judged.distances is None else float(judged.distances[k]),
            )
            for k, row in enumerate(rows[:, : len(self.class_names)])
        ]

    def why_none(self, coverage: float | None = COVERAGE, refuse: float | None = REFUSE, *, prefix: str = "") -> str:
        """Return why there are no prediction sets at a coverage, or no refusal, one line; "" where both can be given.

        Also "" for a file without thresholds, since only its training knows why.

        Args:
            coverage: As for `judge`.
            refuse: As for `judge`.
            prefix: As for `resnet50.uncertainty.thresholds.Thresholds.why_none`.
        """
        if self.thresholds is not None:
            return self.thresholds.why_none(coverage, refuse, classes=len(self.class_names), prefix=prefix)
        if self.precision != "int8" or not (coverage or refuse) or not isinstance(self.network, Network):
            return ""
        return _NONE_IN_INT8 if self.network.source is not None and _has_thresholds(self.network.source) else ""

    def predict(
        self,
        image: ImageLike,
        *,
        top: int = 3,
        coverage: float | None = COVERAGE,
        refuse: float | None = REFUSE,
    ) -> Prediction:
        """Classify one image of any size; `resnet50.predict` classifies many.

        Args:
            image: Path, encoded bytes, open binary file, Pillow image, or pixels 0..255 of any size ((height, width)
                gray, or (height, width, 3 or 4)). It is fitted to the model's size as for training.
            top: Number of classes to name.
            coverage: Share of images whose class is to be in the prediction set, above 0 and below 1; None for no set.
            refuse: Share of images like the training's that may be refused, above 0 and below 1; None for no refusal.

        Returns:
            The most probable classes and their probabilities, the prediction set and the refusal; its ``error`` is
            None.

        Raises:
            FileNotFoundError: If there is no file at the path.
            ValueError: If the image cannot be read, ``top`` is not positive, or a share is not between 0 and 1.
        """
        height, width = self.image_size
        pixels = fit_image(image, height=height, width=width, fit=self.fit)
        network = self.answering if coverage is not None or refuse is not None else self.network
        rows = forward_array(network, pixels[None], batch_size=1)
        (doubt,) = self.doubts(rows, coverage=coverage, refuse=refuse)
        path = Path(image) if isinstance(image, str | os.PathLike) else None
        return Prediction.of(0, path, rows[0], self.class_names, top=top, doubt=doubt)

    def probabilities(self, images: np.ndarray | LazyImages, *, batch_size: int = 64) -> np.ndarray:
        """Classify images of the model's size.

        Args:
            images: RGB ``(n, height, width, 3)``, 0..255, uint8 or float; images in a file are read batch by batch.
            batch_size: Images in one forward pass.

        Returns:
            float32 ``(n, classes)``, 0..1, each row summing to 1.

        Warns:
            UserWarning: If the images are floats that never exceed 1.5, as pixels that were divided by 255.

        Raises:
            ValueError: If the images do not have the model's size or are not numbers from 0 to 255, the batch size is
                not positive, or the model's output is not a number.
        """
        return forward_array(self.network, images, batch_size=batch_size)

    def examine(self, images: np.ndarray | LazyImages, *, batch_size: int = 64) -> tuple[np.ndarray, np.ndarray | None]:
        """Classify images of the model's size, and measure how unlike the training images they are.

        Args:
            images: As for `probabilities`.
            batch_size: Images in one forward pass.

        Returns:
            Probabilities, float32 ``(n, classes)``, and cosine distances to the nearest training images, float32
            ``(n,)``; None for these without thresholds, or features to compare.
        """
        classes, network = len(self.class_names), self.answering
        if self.thresholds is None or network.output_shape[-1] == classes:
            return self.probabilities(images, batch_size=batch_size), None
        probabilities, distances = [], []
        size = -(-_BLOCK // batch_size) * batch_size  # features of all images would take gigabytes
        for start in range(0, len(images), size):
            rows = forward_array(network, images[start : start + size], batch_size=batch_size)
            probabilities.append(rows[:, :classes])
            distances.append(self.thresholds.measure(rows[:, classes:]))
        return np.concatenate(probabilities), np.concatenate(distances)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the classifier, atomically and uncompiled, so that every backend can open it.

        Args:
            path: Name of the file, ending in ``.keras``.

        Raises:
            ValueError: If the name has another suffix, or the classifier is an export.
        """
        if Path(path).suffix != ".keras":
            raise ValueError(f"{path}: expected a file name that ends in .keras, got another; rename it.")
        import keras

        if isinstance(self.network, Network) and self.network.source is None:
            raise ValueError(f"{path}: expected a Keras model to save, got an export; copy the export's folder.")
        uncompiled = keras.Model(self.model.input, self.model.output, name=self.model.name)  # of the same layers
        with atomic_path(path) as temporary:
            uncompiled.save(temporary)
            with zipfile.ZipFile(temporary, "a") as archive:
                archive.writestr(CLASSIFIER_MEMBER, json.dumps(self.metadata(), indent=2))
                if self.thresholds is not None:
                    archive.writestr(FILE, self.thresholds.to_bytes())

    def metadata(self) -> dict[str, Any]:
        """Return every field but the model and the thresholds, ready for JSON: what a file stores beside the model.

        Of a file with pretrained weights the recipe has the name without the folder, since model files are passed on.
        """
        metadata = {name: getattr(self, name) for name in _METADATA}
        return metadata | {"fit": self.fit.to_dict(), "recipe": _without_folders(self.recipe)}

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        runtime: str | None = None,
        precision: str = "fp32",
        calibration: str | os.PathLike[str] | DataSource | np.ndarray | LazyImages | None = None,
        progress: Progress | None = None,
    ) -> Classifier:
        """Open a trained classifier: a ``.keras`` file in ONNX Runtime, without Keras, or an export in its own runtime.

        The graph is made once and kept in the cache (`resnet50.inference.compiled`). A file with a layer that ONNX does
        not express is opened by Keras, with a warning.

        Args:
            path: A ``.keras`` file, the folder of a run, or the folder of an export.
            runtime: ``"keras"`` to open a ``.keras`` file by Keras, on any backend; None for the fast way.
            precision: Precision in which a ``.keras`` file answers: ``"fp32"``, ``"bf16"`` by OpenVINO, or ``"int8"``
                by ONNX Runtime.
            calibration: For int8, images to calibrate on: their folder, CSV file or h5 file, a `DataSource`, or an
                array of the model's size, RGB ``(n, height, width, 3)``, 0..255. None for those of the last call with
                this file or, if there was none, some of the training images.
            progress: Called while images to calibrate on are decoded, with the number that is done and their number.

        Warns:
            UserWarning: If the file is opened by Keras, since ONNX does not express one of its layers.

        Raises:
            FileNotFoundError: If there is no such file, or there are no images to calibrate on.
            ImportError: If an export's runtime is not installed, or OpenVINO for bf16.
            ValueError: If it is something else, is damaged, has no class names, is an export to open by Keras or in
                another precision, or cannot be computed in the precision; or images to calibrate on are not known, are
                given for another precision, or do not fit.
        """
        if runtime not in (None, "keras"):
            raise ValueError(f"expected runtime to be 'keras' or None, got {runtime!r}.")
        located = locate(path)
        _check_precision(located, precision, calibration, runtime)
        path = located.model
        if located.kind == "export" and runtime == "keras":
            raise NoGraphError(f"{path}: {_NO_LAYERS}")
        if located.kind == "export":
            metadata = read_manifest(path)
            export = metadata.pop("export")
            _check_metadata(metadata, path)
            thresholds = read_file(path, classes=len(metadata["class_names"])) if FILE in export["files"] else None
            return cls._from_metadata(path, metadata, open_network(path, export), thresholds)
        metadata = _read_metadata(path)
        if precision != "fp32":
            from resnet50.inference.precision import open_in_precision

            network = open_in_precision(located, precision, calibration=calibration, progress=progress)
        else:
            network = _load_keras(path) if runtime == "keras" else _open(path)
        # int8 gives other probabilities and features than those that thresholds were fitted on
        thresholds = _read_thresholds(path, metadata) if precision != "int8" else None
        return cls._from_metadata(path, metadata, network, thresholds)

    @classmethod
    def _from_metadata(
        cls, path: Path, metadata: Mapping[str, Any], network: keras.Model | Network, thresholds: Thresholds | None
    ) -> Classifier:
        fields = {**metadata, "class_names": tuple(metadata["class_names"]), "thresholds": thresholds}
        try:
            return cls(network=network, **{**fields, "fit": Fit.from_dict(metadata.get("fit", {}))})
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


def _without_folders(recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    weights = recipe.get("weights")
    return {**recipe, "weights": without_folder(weights)} if isinstance(weights, str) else recipe


_BLOCK = 2048  # images whose features are in memory

_METADATA = tuple(field.name for field in fields(Classifier) if field.name not in ("network", "thresholds"))

_NONE_IN_INT8 = (
    "expected fp32 or bf16 for prediction sets and refusal, got int8, which the thresholds of a run are not fitted to; "
    "take another precision, or an export in int8, which fits its own."
)

_NO_LAYERS = "expected a Keras model, got an export, which has no layers; use the .keras file that it was made from."


def _check_precision(located: Located, precision: str, calibration: object, runtime: str | None) -> None:
    """Refuse a precision that there is not, or that does not go with the other arguments of `Classifier.load`."""
    if precision not in PRECISIONS:
        raise ValueError(f"expected precision to be one of {', '.join(PRECISIONS)}, got {precision!r}.")
    if calibration is not None and precision != "int8":
        raise ValueError(
            f"expected images to calibrate on (--data) for the precision int8 only, got {precision}; leave them out."
        )
    if precision == "fp32":
        return
    if runtime is not None:
        raise ValueError(f"expected the precision fp32 with the runtime {runtime}, got {precision}; leave one out.")
    if located.kind == "export":
        raise ValueError(
            f"{located.model}: expected a .keras file or a run to answer in {precision}, got an export, which has a "
            "precision of its own; leave the precision out, or name the model that it was made from."
        )


def _open(path: Path) -> keras.Model | Network:
    """Open a ``.keras`` file without Keras; by Keras where it has a layer that is not converted to ONNX.

    What cannot be read here is left to Keras too: it knows all that it may have written.
    """
    from resnet50.graph.onnx_graph import UnknownLayerError
    from resnet50.inference.compiled import open_compiled

    try:
        return open_compiled(path)
    except ValueError as error:
        try:
            model = _load_keras(path)
        except (ValueError, ImportError):
            if isinstance(error, UnknownLayerError):
                raise
            raise error from None
        warnings.warn(f"{path}: opened by Keras, which takes longer: {error}", stacklevel=3)
        return model


def _load_keras(path: Path) -> keras.Model:
    import keras

    with keras_defaults(), quiet():  # the first operation in TensorFlow prints some lines
        try:
            return keras.saving.load_model(path, compile=False)
        except Exception as error:  # Keras raises exceptions of many classes for a damaged archive
            reason = " ".join(str(error).split())[:200]
            reason = reason[: reason.rfind(". ")] if ". " in reason else reason  # whole sentences
            raise ValueError(
                f"{path}: expected a model that Keras opens without running code from the file, got an error "
                f"({reason}); copy the file again, or open it in Keras yourself if you trust it."
            ) from error


def _read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata in an archive, once nothing in it can harm Keras.

    Raises:
        ValueError: If the file is not an archive, has no metadata or other metadata, is damaged, or declares more than
            any classifier has.
    """
    with reading(path), zipfile.ZipFile(path) as archive:
        check_complete(archive)
        members = archive.namelist()
        text = read_small(archive, CLASSIFIER_MEMBER) if CLASSIFIER_MEMBER in members else None
    if text is None:
        received = "plain Keras model" if CONFIG_MEMBER in members else "zip archive of something else"
        raise ValueError(
            f"{path}: expected a classifier with its class names, got a {received} (no {CLASSIFIER_MEMBER} in it); "
            "open a plain model by keras.saving.load_model."
        )
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON in {CLASSIFIER_MEMBER}, got other text ({error}).") from error
    _check_metadata(metadata, path)
    with reading(path):
        check_archive(path)
    return metadata


def _read_thresholds(path: Path, metadata: Mapping[str, Any]) -> Thresholds | None:
    with reading(path), zipfile.ZipFile(path) as archive:
        return read_member(archive, classes=len(metadata["class_names"]))


def _has_thresholds(path: Path) -> bool:
    """Return whether a ``.keras`` file has thresholds, which another precision may not take."""
    with reading(path), zipfile.ZipFile(path) as archive:
        return FILE in archive.namelist()


def _check_metadata(metadata: Any, path: Path) -> None:
    """Refuse metadata that is not that of a classifier.

    Raises:
        ValueError: If it is not.
    """
    if not isinstance(metadata, dict) or set(metadata) | {"fit"} != set(_METADATA):
        got = short(list(metadata)) if isinstance(metadata, dict) else type(metadata).__name__
        raise ValueError(f"{path}: expected {', '.join(_METADATA)} in {CLASSIFIER_MEMBER}, got {got}.")
    texts = {name: metadata[name] for name in ("dataset", "fingerprint")}
    names, recipe, metrics = (metadata[name] for name in ("class_names", "recipe", "metrics"))
    checks = {
        "class_names": (isinstance(names, list) and all(isinstance(name, str) for name in names), "a list of strings"),
        **{name: (isinstance(text, str), "a string") for name, text in texts.items()},
        "recipe": (isinstance(recipe, dict), "an object"),
        "metrics": (
            isinstance(metrics, dict)
            and all(isinstance(score, int | float) for score in metrics.values())
            and metrics.get("temperature", 1) > 0,
            "an object of numbers, with a temperature above 0 if any",
        ),
    }
    for name, (holds, expected) in checks.items():
        if not holds:
            raise ValueError(
                f"{path}: expected {name} in {CLASSIFIER_MEMBER} to be {expected}, got {short(metadata[name])}."
            )
    try:
        check_recipe(recipe)
    except ValueError as error:
        raise ValueError(f"{path}: {CLASSIFIER_MEMBER}: {str(error).rstrip('.')}; the file was changed.") from error
    check_class_names(names, f"{path}: expected class_names in {CLASSIFIER_MEMBER}")
    check_printable((*names, metadata["dataset"]), f"{path}: expected names in {CLASSIFIER_MEMBER}")
