import json
from pathlib import Path

import pytest

from factories import noise, raises, write_image
from resnet50.data.options import DEFAULT_OPTIONS, ReadOptions
from resnet50.datasets import DATASETS
from resnet50.datasets.rendered_signs import write_rendered_signs
from resnet50.datasets.source import DataSource


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    "source",
    [
        DataSource("signs"),
        DataSource("rocks", "data/rocks"),
        DataSource("folder", "pets", ReadOptions(pattern="(?P<class>.)", test_split=0.3, max_unreadable=0)),
    ],
)
def test_survives_json(source):
    assert DataSource.from_dict(json.loads(json.dumps(source.to_dict()))) == source


@pytest.mark.parametrize("task", [task for task in DATASETS if task != "folder"])
def test_options_are_refused_by_datasets_that_are_always_read_in_the_same_way(task):
    assert DataSource(task, "place").options == DEFAULT_OPTIONS
    with raises(ValueError, task, "test_split", "folder") as caught:
        DataSource(task, "place", ReadOptions(test_split=0.3))
    assert "max_unreadable" not in str(caught.value)


def test_changed_options():
    assert DataSource("signs").changed_options == {}
    options = ReadOptions(pattern="(?P<class>.)", max_unreadable=0)
    assert DataSource("folder", "pets", options).changed_options == {"pattern": "(?P<class>.)", "max_unreadable": 0}


def test_an_unknown_dataset_is_refused():
    with raises(ValueError, *DATASETS, "'sings'"):
        DataSource("sings")


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"task": "signs", "path": None},
        {"task": "signs", "options": {}},
        {"task": "folder", "path": "pets", "options": {"test": 0.2}},
        {"task": "folder", "path": "pets", "options": None},
    ],
)
def test_values_of_another_version_are_refused(values):
    with raises(ValueError, "task", "path", "options", values):
        DataSource.from_dict(values)


@pytest.mark.parametrize("options", [{"test_split": 2}, {"max_unreadable": -1}])
def test_impossible_options_are_refused(options):
    with raises(ValueError, *options, *options.values()):
        DataSource.from_dict({"task": "folder", "path": "pets", "options": options})


def test_a_path_is_stored_as_a_string():
    assert DataSource("folder", Path("pets")) == DataSource("folder", "pets")


def test_loads_by_the_options(tmp_path):
    for index in range(20):
        write_image(tmp_path / "pets" / f"{'cat' if index % 2 else 'dog'}_{index}.png", noise(20, 20, 3, seed=index))
    seen = []
    source = DataSource("folder", str(tmp_path / "pets"), ReadOptions(pattern="^(?P<class>[a-z]+)_", test_split=0.4))
    splits = source.load(16, progress=lambda *step: seen.append(step))
    assert (len(splits.train), len(splits.test)) == (12, 8)
    assert splits.train.class_names == ("cat", "dog")
    assert splits.train.images.shape[1:] == (16, 16, 3)
    assert seen[0] == (1, 20)
    assert seen[-1] == (40, 40)  # images are compared for the cut, in two steps each


def test_loads_a_dataset_from_its_usual_place(tmp_path):
    write_rendered_signs(tmp_path / "cache" / "signs", train=12, test=6)
    splits = DataSource("signs").load(32)
    assert (len(splits.train), len(splits.test)) == (12, 6)
    assert splits.test.images.shape == (6, 32, 32, 3)


def test_a_dataset_without_a_usual_place_needs_a_path():
    with raises(FileNotFoundError, "rocks"):
        DataSource("rocks").load(32)


@pytest.mark.parametrize(
    ("task", "way"), [("folder", "pack URL OUT --records"), ("rocks", "download"), ("cifar10", "download")]
)
def test_a_url_is_refused_with_the_way_to_read_it(task, way):
    url = "sftp://host/images"
    for path in (url, str(Path(url).absolute())):  # as the command line records it
        with raises(FileNotFoundError, f"{url}: ", way):
            DataSource(task, path).load(32)


def test_a_run_of_before_there_were_groups_of_subfolders_is_read_without_them():
    values = DataSource("folder", "pets").to_dict()
    del values["options"]["groups"]
    assert DataSource.from_dict(values).options.groups is False
    assert DataSource.from_dict(DataSource("folder", "pets").to_dict()).options.groups is None
    values = DataSource("signs", "place").to_dict()
    del values["options"]["groups"]
    assert DataSource.from_dict(values) == DataSource("signs", "place")
