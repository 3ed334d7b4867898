"""The readers that are fuzzed: how an intact file is written, and how it is read.

What takes long to load is loaded where it is needed, since each reader has a process of its own.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from torch_files import write_legacy_pth, write_pth, write_safetensors


@dataclass(frozen=True)
class Subject:
    """A reader of files.

    Attributes:
        write: Writes intact files into an empty folder, and returns the path to read.
        read: Reads that path, and returns what can be compared.
        checked: Whether the format has checksums of everything, so that what is read is what was written.
        needs: Packages without which it is left out.
    """

    write: Callable[[Path], Path]
    read: Callable[[Path], object]
    checked: bool = False
    needs: tuple[str, ...] = ()


def _noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _digest(*arrays: np.ndarray) -> str:
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(repr((array.shape, array.dtype.str)).encode() + np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


# --------------------------------------------------------------------------------------------------------------- images


def _write_image(suffix: str, **options: object) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        pixels = np.kron(_noise(6, 8, 3), np.ones((8, 8, 1), np.uint8))
        Image.fromarray(pixels).save(folder / f"image{suffix}", **options)
        return folder / f"image{suffix}"

    return write


def _write_deep_image(folder: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 4096, (48, 64)).astype(np.uint16)
    Image.fromarray(pixels).save(folder / "image.tif", compression="tiff_deflate")
    return folder / "image.tif"


def _read_image(path: Path) -> str:
    from resnet50.data.fit import Fit
    from resnet50.data.images import crop_image, measure_value_range, read_header, read_image

    read_header(path)
    fit = Fit(value_range=measure_value_range([path]) or (0, 4095))
    whole = read_image(path, height=32, width=32, fit=fit)
    return _digest(whole) + _digest(crop_image(path.read_bytes(), _lower_left, height=8, width=8, fit=fit))


def _lower_left(height: int, width: int) -> tuple[int, int, int, int]:
    return 0, height // 3, (width + 1) // 2, height


# -------------------------------------------------------------------------------------------------------------- weights


def _tiny_arrays() -> dict[str, np.ndarray]:
    """A state dict of torchvision's names, in one block a stage."""
    rng, arrays = np.random.default_rng(0), {}

    def norm(name: str, channels: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            arrays[f"{name}.{part}"] = rng.random(channels, dtype=np.float32)
        arrays[f"{name}.num_batches_tracked"] = np.array(3, np.int64)

    def conv(name: str, out: int, into: int, size: int) -> None:
        arrays[f"{name}.weight"] = rng.random((out, into, size, size), dtype=np.float32)

    conv("conv1", 64, 3, 7)
    norm("bn1", 64)
    for stage, (narrow, wide, into) in enumerate(((4, 16, 64), (5, 24, 16)), 1):
        block = f"layer{stage}.0"
        for number, shape in enumerate(((narrow, into, 1), (narrow, narrow, 3), (wide, narrow, 1)), 1):
            conv(f"{block}.conv{number}", *shape)
            norm(f"{block}.bn{number}", shape[0])
        conv(f"{block}.downsample.0", wide, into, 1)
        norm(f"{block}.downsample.1", wide)
    arrays["fc.weight"], arrays["fc.bias"] = rng.random((3, 24), dtype=np.float32), rng.random(3, dtype=np.float32)
    return arrays


def _write_keras_weights(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        import factories
        from resnet50.weights import save_weights

        model = factories.tiny_model(size=(32, 32))
        if name.endswith(".keras"):
            model.save(folder / name)
        else:
            save_weights(model, folder / name, layout="keras")
        return folder / name

    return write


def _read_weights(path: Path) -> str:
    from resnet50.weights.read import read_weights

    weights = read_weights(path)
    names = sorted(weights.arrays)
    return "\n".join(names) + _digest(*(array for name in names for array in weights.arrays[name]))


# --------------------------------------------------------------------------------------------- datasets: h5 and CSV


def _write_signs(folder: Path) -> Path:
    from resnet50.datasets.rendered_signs import write_rendered_signs

    write_rendered_signs(folder, train=12, test=6, image_size=32)
    return folder / "train_signs.h5"


def _write_packed(folder: Path) -> Path:
    import factories
    from resnet50.data.pack import pack

    source = factories.image_folder(folder.parent / f"{folder.name}-images", splits=("train", "test"))
    pack(source, folder / "packed.h5", image_size=16)
    return folder / "packed.h5"


def _read_h5(path: Path) -> str:
    from resnet50.data.loading import read_splits

    splits = read_splits(path, image_size=16)
    return "".join(
        f"{name} {dataset.class_names} {dataset.paths} {dataset.labels.tolist()} {dataset.name}"
        + _digest(np.asarray(dataset.images))
        for name, dataset in splits.by_name.items()
    )


def _write_records(folder: Path) -> Path:
    import factories
    from resnet50.data.pack_records import pack_records

    source = factories.image_folder(folder.parent / f"{folder.name}-images", splits=("train", "test"))
    pack_records(source, folder / "records", shards=2)
    return folder / "records"


def _write_table(folder: Path) -> Path:
    rows = [(f"images/{index}.png", name, split) for index, name in enumerate("abcabc") for split in ("train", "test")]
    with (folder / "table.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split", "group"])
        for index, (path, name, split) in enumerate(rows):
            writer.writerow([f"{split}/{path}", f"class {name}", split, f"patient {index // 2}"])
            (folder / split / "images").mkdir(parents=True, exist_ok=True)
            (folder / split / path).touch()
    return folder / "table.csv"


def _read_table(path: Path) -> str:
    from resnet50.data.listing import list_images

    listing = list_images(path)
    return f"{listing.class_names} {listing.entries}"


# ----------------------------------------------------------------------------------- models, exports, runs, checkpoints


def _write_classifier(folder: Path) -> Path:
    import factories

    factories.classifier().save(folder / "model.keras")
    return folder / "model.keras"


def _write_export(folder: Path) -> Path:
    import factories
    from resnet50.exporters.export import export

    check = _noise(4, 32, 40, 3)
    export(factories.classifier(), folder / "export", format="onnx", check=check)
    return folder / "export"


def _read_classifier(path: Path) -> str:
    from resnet50.inference.classifier import Classifier

    classifier = Classifier.load(path)
    rows = classifier.probabilities(np.full((1, 32, 40, 3), 90, np.uint8))
    return f"{classifier.metadata()}{_digest(rows)}"


def _write_run(folder: Path) -> Path:
    """The files of an interrupted run: recipe, environment and checkpoint."""
    return _train(folder, {"recipe.json", "environment.json", "last.h5"})


def _write_scored_run(folder: Path) -> Path:
    """The files of a finished run that are compared with those of others."""
    return _train(folder, {"recipe.json", "environment.json", "history.csv", "report.json", "images.csv"})


def _train(folder: Path, names: set[str]) -> Path:
    """Train for a moment, and remove all but the files of these names."""
    import factories
    from resnet50.data.splits import DatasetSplits
    from resnet50.datasets.rendered_signs import rendered_signs
    from resnet50.training.train import train

    splits = DatasetSplits(*rendered_signs(train=12, test=6, image_size=32))
    train(factories.tiny_recipe(epochs=1, warmup_epochs=0), splits, out=folder / "run", progress=False)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() and path.name not in names:
            path.unlink()
    return folder / "run"


def _read_scored_run(path: Path) -> str:
    from resnet50.audit.training_images import read_training_images
    from resnet50.comparison.runs import read_run

    run = read_run(path)
    return json.dumps(
        [run.to_dict() | {"folder": ""}, [vars(each) for each in read_training_images(path / "images.csv")]]
    )


def _read_run(path: Path) -> str:
    import keras

    import factories
    from resnet50.training.checkpoint import Checkpoint, read_position
    from resnet50.training.network import build_network
    from resnet50.training.run import RunDirectory

    run = RunDirectory(path)
    record = run.read()
    position = read_position(run.checkpoint)
    model = build_network(factories.tiny_recipe(), 6)
    model.compile("adam", "categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    keras.utils.set_random_seed(0)
    try:
        Checkpoint(run.checkpoint, position=position, every=1, epochs=1, others=[]).restore(model)
    except ValueError as error:  # the state is that of the run's own callbacks, which is refused last
        if "callbacks" not in str(error):
            raise
    return f"{position} {record.recipe} {record.dataset} {sorted(record.fingerprints.items())}"


def _write_features(folder: Path) -> Path:
    np.savez(
        folder / "features.npz",
        features=np.eye(6, 24, dtype=np.float32),
        images=np.arange(6),
        model_sha256="a" * 64,
        images_sha256="b" * 64,
    )
    return folder / "features.npz"


def _read_features(path: Path) -> str:
    """Stored features; those that are damaged are computed again."""
    from resnet50.inference.neighbors import read_features

    found = read_features(path, {"model_sha256": "a" * 64, "images_sha256": "b" * 64}, most=6, width=24)
    if found is None:
        raise ValueError(f"{path}: expected features, got others.")
    return _digest(*found)


def _write_thresholds(folder: Path) -> Path:
    from resnet50.uncertainty.scaling import Temperature
    from resnet50.uncertainty.thresholds import Thresholds

    thresholds = Thresholds(
        Temperature(1.5, 40, 0.7, 0.6),
        "lac",
        scores=np.linspace(0, 1, 40, dtype=np.float32),
        labels=np.arange(40) % 3,
        distances=np.linspace(0, 1, 40, dtype=np.float32),
        features=np.eye(6, 24, dtype=np.float16),
        fitted_on="held-out",
    )
    (folder / "thresholds.npz").write_bytes(thresholds.to_bytes())
    return folder / "thresholds.npz"


def _read_thresholds(path: Path) -> str:
    from resnet50.uncertainty.thresholds import Thresholds

    try:
        found = Thresholds.from_bytes(path.read_bytes(), classes=3)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return _digest(found.scores, found.labels, found.distances, found.features)


def _write_corrections(folder: Path) -> Path:
    rows = [
        ("path", "label", "action", "new_label"),
        ("a.png", "cats", "relabel", "dogs"),
        ("b.png", "dogs", "keep", ""),
    ]
    with (folder / "corrections.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return folder / "corrections.csv"


def _read_corrections(path: Path) -> str:
    from resnet50.data.corrections import read_corrections

    return repr(read_corrections(path).rows)


def _write_suggestions(folder: Path) -> Path:
    from resnet50.inference.suggest import Suggestion, Suggestions

    images = (Suggestion(folder / "a.png", "cats", 0.5, "dogs", 1.0),)
    Suggestions(images, 1, ("cats", "dogs"), ()).save(folder / "suggest.csv")
    return folder / "suggest.csv"


def _read_suggestions(path: Path) -> None:
    from resnet50.inference.suggest import check_unlabeled

    check_unlabeled(path)


def _write_results(folder: Path) -> Path:
    from resnet50.inference.parquet_folder import write_rows
    from resnet50.inference.result_rows import Rows

    types = {"path": "string", "probability": "float", "error": "string"}
    rows = [
        {"path": f"{k}.png", "probability": k / 8} if k % 3 else {"path": f"{k}.png", "error": "no image"}
        for k in range(8)
    ]
    write_rows(folder / "rows.parquet", Rows(types, rows), {"top": "3"})
    return folder / "rows.parquet"


def _read_results(path: Path) -> str:
    from resnet50.inference.parquet_folder import read_done

    return repr(read_done(path.parent, {"top": "3"}))


SUBJECTS: dict[str, Subject] = {
    "jpeg": Subject(_write_image(".jpg", quality=90), _read_image),
    "progressive-jpeg": Subject(_write_image(".jpg", progressive=True), _read_image),
    "png": Subject(_write_image(".png"), _read_image, checked=True),
    "webp": Subject(_write_image(".webp", lossless=True), _read_image),
    "gif": Subject(_write_image(".gif"), _read_image),
    "bmp": Subject(_write_image(".bmp"), _read_image),
    "tiff": Subject(_write_image(".tif", compression="tiff_lzw"), _read_image),
    "deep-tiff": Subject(_write_deep_image, _read_image),
    "weights-h5": Subject(_write_keras_weights("w.h5"), _read_weights),
    "weights-weights-h5": Subject(_write_keras_weights("w.weights.h5"), _read_weights),
    "weights-keras": Subject(_write_keras_weights("w.keras"), _read_weights),
    "weights-safetensors": Subject(
        lambda folder: write_safetensors(folder / "w.safetensors", _tiny_arrays()), _read_weights
    ),
    "weights-pth": Subject(lambda folder: write_pth(folder / "w.pth", _tiny_arrays()), _read_weights),
    "weights-legacy-pth": Subject(lambda folder: write_legacy_pth(folder / "w.pth", _tiny_arrays()), _read_weights),
    "signs-h5": Subject(_write_signs, _read_h5),
    "packed-h5": Subject(_write_packed, _read_h5, checked=True),
    "records": Subject(_write_records, _read_h5, checked=True, needs=("array_record",)),
    "csv": Subject(_write_table, _read_table),
    "classifier": Subject(_write_classifier, _read_classifier),
    "export": Subject(_write_export, _read_classifier, needs=("onnx", "onnxruntime")),
    "run": Subject(_write_run, _read_run),
    "scored-run": Subject(_write_scored_run, _read_scored_run),
    "corrections": Subject(_write_corrections, _read_corrections),
    "suggestions": Subject(_write_suggestions, _read_suggestions),
    "features": Subject(_write_features, _read_features, checked=True),
    "thresholds": Subject(_write_thresholds, _read_thresholds, checked=True),
    "parquet": Subject(_write_results, _read_results, needs=("pyarrow",)),
}
"""Every reader of files, by name."""
