"""The page on file formats names every file and key that the library writes."""

from __future__ import annotations

import csv
import inspect
import io
import json
import re
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import griffe
import h5py
import numpy as np
import pytest

from factories import image_folder, tiny_recipe
from generators.format_tables import format_tables, json_type, key_table
from resnet50.app.training import run_images
from resnet50.cli.predictions import Writer, write_csv, write_json_lines
from resnet50.data import cifar10
from resnet50.data.pack import pack
from resnet50.data.pack_records import pack_records
from resnet50.datasets import DATASETS
from resnet50.datasets.source import DataSource
from resnet50.evaluation.rock_similarity import RockSimilarity
from resnet50.exporters.export import export
from resnet50.inference.embed import embed
from resnet50.inference.prediction import Prediction
from resnet50.inference.result_rows import feature_rows, prediction_rows
from resnet50.metrics.scores import FeatureScoring
from resnet50.metrics.similarity import similarity
from resnet50.training.phases import LinearProbe
from resnet50.training.train import Run, train

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "formats.md"

DOOR = {
    "__init__.py": '''
class Door:
    """A door.

    Attributes:
        width: In meters; | is
            a bar.
        names: On the plate.
        lock: The lock; None if it has none.

    Raises:
        ValueError: If it is stuck.
    """

    width: float
    names: tuple[str, ...]
    lock: Lock | None
'''
}


@dataclass(frozen=True)
class Section:
    """The tables below a heading of the page, those that are derived included."""

    text: str

    def keys(self, number: int = 0) -> list[str]:
        """The first column of a table, counted from 0."""
        table = re.findall(r"(?:^\|.*\n)+", self.text, re.MULTILINE)[number]
        return [name for row in table.splitlines()[2:] for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


@pytest.fixture(scope="module")
def page():
    text = PAGE.read_text(encoding="utf-8")
    for name, table in format_tables().items():
        text = text.replace(f'--8<-- "formats/{name}.md"\n', table)
    assert "--8<--" not in text
    sections = re.split(r"(?m)^#{2,3} .*\{ #([\w-]+) \}\n", text)
    return {name: Section(body) for name, body in zip(sections[1::2], sections[2::2], strict=True)}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """A run of a linear probe and epochs, from a folder with an unreadable file and a validation split."""
    root = tmp_path_factory.mktemp("formats")
    folder = image_folder(root / "photos", splits=("train", "val", "test"), each=9)
    (folder / "train" / "cat" / "broken.png").write_bytes(b"no image")
    (folder / "train" / "cat" / "scan.dcm").write_bytes(b"no image")
    source = DataSource("folder", str(folder), replace(DataSource("folder").options, max_unreadable=0.5))
    recipe = tiny_recipe(phases=(LinearProbe(), *tiny_recipe(epochs=2).phases), validation_split=0.2)
    return train(recipe, source.load(32), out=root / "run", source=source, progress=False)


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def header(path: Path) -> list[str]:
    with path.open(newline="") as file:
        return next(csv.reader(file))


def test_a_table_of_keys_has_the_types_of_json():
    with griffe.temporary_visited_package("house", DOOR, docstring_parser="google") as house:
        assert (
            key_table(house["Door"])
            == """\
| key | type | meaning |
| --- | --- | --- |
| `width` | number | In meters; \\| is a bar. |
| `names` | array | On the plate. |
| `lock` | object or null | The lock; None if it has none. |
"""
        )


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("str", "string"),
        ("int | None", "integer or null"),
        ("dict[str, int] | None", "object or null"),
        ("tuple[tuple[Place, ...], ...]", "array"),
        ("np.ndarray | LazyImages", "object"),
        ("bool", "boolean"),
    ],
)
def test_types_of_json(annotation, expected):
    assert json_type(annotation) == expected


def test_the_named_datasets_are_on_the_page_as_their_modules_describe_them(page):
    assert {*page["datasets"].keys(), "folder", "rendered-signs"} == {*DATASETS}
    for row in re.findall(r"(?m)^\| `.*\|$", page["datasets"].text):
        names, source, terms, holds = (cell.strip() for cell in row.strip("|").split(" | "))
        module = inspect.getmodule(DATASETS[names.split("`")[1]])
        about, code = " ".join(module.__doc__.split()), inspect.getsource(module) + inspect.getsource(cifar10)
        link = re.search(r"\((https://.*?)\)", source)
        assert (link[1] if link else source) in about
        assert terms in about
        files = re.findall("`([^`]+)`", holds)
        assert [name for name in files if re.sub(r"\d\.bin", "", name) not in code] == []


@pytest.mark.slow
def test_every_file_of_a_run_is_on_the_page(page, run):
    files = [path.relative_to(run.folder.path).as_posix() for path in run.folder.path.rglob("*") if path.is_file()]
    assert {"unreadable.csv", "history.csv", "model.keras", "report.json"} <= set(files)
    assert [name for name in files if f"`{name}`" not in page["run-directory"].text] == []


@pytest.mark.slow
def test_the_tables_of_a_run_have_the_columns_on_the_page(page, run):
    folder = run.folder
    assert set(header(folder.history)) == set(page["history-csv"].keys())
    assert header(folder.images) == page["images-csv"].keys()
    assert header(folder.unreadable) == page["unreadable-csv"].keys()
    assert header(folder.left_out) == page["left-out-csv"].keys()


@pytest.mark.slow
def test_the_json_files_of_a_run_have_the_keys_on_the_page(page, run):
    recipe = read(run.folder.recipe)
    probe, phase = recipe["phases"]
    for number, keys in enumerate((recipe, phase, probe, recipe["augmentation"])):
        assert page["recipe-json"].keys(number) == list(keys)
    environment = read(run.folder.environment)
    assert sorted([*page["environment-json"].keys(0), *page["environment-json"].keys(1)]) == sorted(environment)
    source = environment["data"]["source"]
    assert page["environment-json"].keys(2) == list(source)
    assert page["environment-json"].keys(3) == list(source["options"])
    assert [key for key in environment["data"] if f"`{key}`" not in page["environment-json"].text] == []


@pytest.mark.slow
def test_the_report_has_the_keys_on_the_page(page, run):
    report = read(run.folder.report)
    assert page["report"].keys() == list(report)
    assert page["report"].keys(2) == list(asdict(FeatureScoring("bfloat16", 16, 0.0)))
    for number, entries in ((3, report["classes"].values()), (4, report["reliability"]), (5, report["mistakes"])):
        for entry in entries:
            assert page["report"].keys(number) == list(entry)
    issue = report["issues"][0]
    assert page["report"].keys(6) == list(issue)
    assert [place for example in issue["examples"] for place in example if page["report"].keys(7) != list(place)] == []


@pytest.mark.slow
def test_a_model_file_has_the_members_and_keys_on_the_page(page, run):
    with zipfile.ZipFile(run.folder.model) as archive:
        names = archive.namelist()
        metadata = json.loads(archive.read("resnet50.json"))
    assert [name for name in names if f"`{name}`" not in page["keras"].text] == []
    assert page["keras"].keys() == list(metadata)
    assert [name for name in metadata["metrics"] if f"`{name}`" not in page["keras"].text] == []


@pytest.mark.slow
def test_an_export_has_the_keys_on_the_page(page, run, tmp_path):
    pytest.importorskip("onnxruntime")
    export(run.classifier, tmp_path / "out", format="onnx", check=np.zeros((2, 32, 32, 3), np.uint8))
    manifest = read(tmp_path / "out" / "resnet50.json")
    assert list(manifest) == [*page["keras"].keys(), "export"]
    assert page["export"].keys() == list(manifest["export"])


def test_a_packed_file_has_the_keys_on_the_page(page, tmp_path):
    folder = image_folder(tmp_path / "photos", splits=("train", "val", "test"))
    (folder / "train" / "cat" / "broken.png").write_bytes(b"no image")
    (folder / "train" / "cat" / "scan.dcm").write_bytes(b"no image")
    pack(
        folder, tmp_path / "photos.h5", image_size=8, options=replace(DataSource("folder").options, max_unreadable=0.5)
    )
    with h5py.File(tmp_path / "photos.h5") as file:
        written = {re.sub("^(train|val|test)_", "{split}_", key) for key in file}
        assert list(file.attrs) == ["dataset", "fit", "sha256"]
    assert written | {"{split}_set_group", "{split}_set_sha256"} == set(page["h5"].keys())


def test_a_manifest_has_the_arrays_on_the_page(page, tmp_path):
    pytest.importorskip("array_record")
    folder = image_folder(tmp_path / "photos", splits=("train", "test"))
    (folder / "table.csv").write_text("path,label,group\ntrain/cat/0.png,cat,p\ntrain/dog/0.png,dog,\n")
    pack_records(folder / "table.csv", tmp_path / "records")
    with np.load(tmp_path / "records" / "manifest.npz") as file:
        written = {"look_alikes", *file.files}
    assert written == set(page["records"].keys())


@pytest.mark.slow
def test_stored_features_have_the_arrays_on_the_page(page, run):
    run_images(run.folder.model, run.classifier)
    with np.load(run.folder.features) as file:
        assert page["features-npz"].keys() == list(file)


@pytest.mark.slow
def test_features_have_the_arrays_on_the_page(page, run, tmp_path):
    embedding = embed(run.classifier, sorted((run.folder.path.parent / "photos" / "test").rglob("*.png")))
    embedding.save(tmp_path / "features.npz", model=run.folder.model)
    with np.load(tmp_path / "features.npz") as file:
        assert page["predictions"].keys(2) == list(file)


@pytest.mark.slow
def test_the_rows_of_a_cluster_have_the_columns_on_the_page(page, run):
    columns = prediction_rows(run.classifier, [], top=2, coverage=None, refuse=None).types
    assert [name for name in page["parquet"].keys(0) if name in columns] == list(columns)
    assert page["parquet"].keys(1) == list(feature_rows(run.classifier, [], at=None).types)


def test_predictions_have_the_columns_and_keys_on_the_page(page):
    answers = [Prediction(0, Path("a.png"), (("cat", 0.75), ("dog", 0.25)))]
    table, lines = io.StringIO(), io.StringIO()
    about = {"model": "model.keras", "dataset": "pets", "precision": "fp32", "coverage": 0.95, "refuse": None}
    write_csv(Writer(table, width=5, top=2, about=about), answers)
    write_json_lines(Writer(lines, width=5, top=2, about=about), answers)
    columns = page["predictions"].keys(0)
    assert table.getvalue().splitlines()[0].split(",") == columns
    assert page["predictions"].keys(1) == list(json.loads(lines.getvalue()))


def test_a_comparison_with_people_has_the_keys_on_the_page(page):
    features, human = np.eye(5)[:, :4], np.eye(5)[:, :2]
    compared = similarity(features, human, features, human, permutations=2)
    keys = RockSimilarity(Path("model.keras"), "rocks", compared, {}, Path()).to_dict()
    assert page["similarity-json"].keys(0) == list(keys)
    for number, part in enumerate((keys["similarity"], keys["similarity"]["fitted"]), 1):
        assert page["similarity-json"].keys(number) == list(part)
    assert page["similarity-json"].keys(3) == list(keys["similarity"]["fitted"]["overall"])
