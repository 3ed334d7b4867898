"""The images of a run, as far as they are files that are still there."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from factories import noise, write_image
from resnet50.app.training import EXAMPLES, run_images
from resnet50.datasets.source import DataSource
from resnet50.inference.classifier import Classifier


def found(run):
    return run_images(run.model, Classifier.load(run.folder))


def test_the_training_images_are_compared_and_test_images_shown(fresh):
    images = found(fresh)
    assert images.training.paths == tuple(fresh.source / name for name in fresh.train)
    assert images.training.class_names == ("cat", "<b>dög</b>", "=1+1") * 4
    assert images.examples == tuple(fresh.source / name for name in fresh.test)
    assert "12" in images.remark
    assert " of " not in images.remark
    with np.load(fresh.folder / "features.npz") as file:
        assert file["features"].shape == (12, 24)


def test_those_that_cannot_be_read_are_counted(fresh):
    (fresh.source / fresh.train[5]).write_text("no image")
    (fresh.source / fresh.train[6]).unlink()
    images = found(fresh)
    assert len(images.training.paths) == 10
    assert "10" in images.remark
    assert "12" in images.remark


def test_another_list_of_images_is_computed_again(fresh):
    found(fresh)
    table = fresh.folder / "images.csv"
    table.write_text("".join(table.read_text("utf-8").splitlines(keepends=True)[:-5]), encoding="utf-8")
    images = found(fresh)
    assert images.training.paths == tuple(fresh.source / name for name in fresh.train[:11])


def test_examples_are_of_different_classes_and_formats_that_browsers_show(fresh):
    rows = ["split,path,class,sha256"]
    for k, (name, class_name) in enumerate([(f"{k}.png", "cat") for k in range(9)] + [("d.jpg", "d"), ("e.tif", "e")]):
        write_image(fresh.source / name, noise(40, 40, 3, seed=k))
        rows.append(f"test,{name},{class_name},0")
    rows.append(f"train,{fresh.train[0].replace(',', '%')},cat,0")
    (fresh.source / fresh.train[0]).rename(fresh.source / fresh.train[0].replace(",", "%"))
    (fresh.source / "1.png").unlink()
    (fresh.folder / "images.csv").write_text("\n".join(rows), encoding="utf-8")
    names = [path.name for path in found(fresh).examples]
    assert names == ["0.png", "d.jpg", "2.png", "3.png", "4.png", "5.png"]
    assert len(names) == EXAMPLES


def record(run, source):
    """Let a run have recorded another source."""
    path = run.folder / "environment.json"
    values = json.loads(path.read_text("utf-8"))
    values["data"]["source"] = source and source.to_dict()
    path.write_text(json.dumps(values), encoding="utf-8")


def test_images_of_a_csv_file_are_beside_it(fresh):
    (fresh.source / "table.csv").touch()
    record(fresh, DataSource("folder", str(fresh.source / "table.csv")))
    assert len(found(fresh).training.paths) == 12


def test_images_may_be_in_a_folder_inside(fresh):
    fresh.source.rename(fresh.source.with_name("Original"))
    fresh.source.mkdir()
    fresh.source.with_name("Original").rename(fresh.source / "Original")
    (fresh.source / "More").mkdir()
    record(fresh, DataSource("leukemia", str(fresh.source)))
    assert found(fresh).training.paths[0] == fresh.source / "Original" / fresh.train[0]


def change(run, name):
    """Change a run so that it has no images."""
    if name == "the source is an h5 file":
        (run.source / "photos.h5").touch()
        record(run, DataSource("folder", str(run.source / "photos.h5")))
    elif name == "the source is built in":
        record(run, DataSource("rendered-signs"))
    elif name == "there is no source":
        record(run, None)
    elif name == "the source is gone":
        shutil.rmtree(run.source)
    elif name == "the images are gone":
        shutil.rmtree(run.source)
        run.source.mkdir()
    elif name == "there is no list":
        (run.folder / "images.csv").unlink()
    elif name == "the list is damaged":
        (run.folder / "images.csv").write_text("a,b\n")
    elif name == "the record is damaged":
        (run.folder / "environment.json").write_text("{")
    else:
        (run.folder / "recipe.json").unlink()


REASONS = {
    "the source is an h5 file": "folder or CSV file",
    "the source is built in": "folder or CSV file",
    "there is no source": "folder or CSV file",
    "the source is gone": "folder or CSV file",
    "the images are gone": "photos",
    "there is no list": "images.csv",
    "the list is damaged": "images.csv",
    "the record is damaged": "environment.json",
    "the model has no run": "model.keras",
}


@pytest.mark.parametrize("name", REASONS)
def test_why_none_are_compared_is_one_line(name, fresh):
    change(fresh, name)
    images = found(fresh)
    assert (images.training, images.examples) == (None, ())
    assert REASONS[name] in images.remark
    assert str(fresh.source.parent) not in images.remark
    assert str(fresh.folder.parent) not in images.remark
    assert "\n" not in images.remark
    assert not (fresh.folder / "features.npz").exists()


def test_a_network_without_features_compares_none(fresh, monkeypatch):
    classifier = Classifier.load(fresh.folder)
    network = classifier.network
    monkeypatch.setattr(network, "outputs", {})
    monkeypatch.setattr(network, "source", None)
    images = run_images(fresh.model, replace(classifier))
    assert images.training is None
    assert len(images.examples) == 4
