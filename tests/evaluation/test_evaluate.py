from __future__ import annotations

import json
import subprocess
import sys

import pytest

from factories import raises, tiny_recipe
from resnet50 import datasets
from resnet50.data.options import ReadOptions
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.rendered_signs import rendered_signs, write_rendered_signs
from resnet50.datasets.source import DataSource
from resnet50.evaluation.evaluate import check_request, evaluate

pytestmark = pytest.mark.slow  # trained runs


@pytest.fixture(scope="module")
def splits() -> DatasetSplits:
    return DatasetSplits(*rendered_signs(train=24, test=6, image_size=32))


@pytest.fixture(scope="module")
def trained(splits, tmp_path_factory):
    """The folder of a finished run, which recorded its source."""
    from resnet50.training.train import train

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(datasets.DATASETS, "tiny", lambda path, *, image_size, progress=None: splits)
        out = tmp_path_factory.mktemp("trained") / "run"
        recipe = tiny_recipe(epochs=2)
        return train(recipe, splits, out=out, source=DataSource("tiny"), progress=False).folder.path


@pytest.fixture(autouse=True)
def _tiny(splits, monkeypatch, tmp_path):
    monkeypatch.setitem(datasets.DATASETS, "tiny", lambda path, *, image_size, progress=None: splits)
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))


@pytest.mark.slow
def test_a_run_is_scored_on_its_test_split(trained, splits):
    result = evaluate(trained)
    assert result.folder == trained / "evaluation"
    assert json.loads((result.folder / "report.json").read_text()) == json.loads(result.report.to_json())
    assert result.report.images == len(splits["test"])
    assert result.classifier.fingerprint == splits["train"].fingerprint
    assert result.warnings == ()


@pytest.mark.slow
def test_another_source_is_read_with_its_options(trained, tmp_path):
    write_rendered_signs(tmp_path / "other", train=12, test=6, image_size=32, seed=9)
    calls = []
    for source in (tmp_path / "other", str(tmp_path / "other"), DataSource("folder", str(tmp_path / "other"))):
        result = evaluate(trained, source, out=tmp_path / "out", progress=lambda *call: calls.append(call))
        assert result.report.images == 6
        assert result.folder == tmp_path / "out"
    assert calls


def test_the_test_split_of_the_training_cannot_be_cut_anew(trained, tmp_path):
    write_rendered_signs(tmp_path / "other", train=12, test=6, image_size=32, seed=9)
    with raises(ValueError, tmp_path / "other", "--test-split", 0.3):
        evaluate(trained, tmp_path / "other", options=ReadOptions(test_split=0.3), out=tmp_path / "out")


def test_what_cannot_be_done_is_refused_before_any_work(trained, tmp_path):
    (tmp_path / "alone.keras").write_bytes((trained / "model.keras").read_bytes())
    with raises(FileNotFoundError, tmp_path / "nowhere"):
        check_request(tmp_path / "nowhere")
    with raises(ValueError, "source"):
        check_request(trained, options=ReadOptions())
    with raises(ValueError, "options", "DataSource"):
        check_request(trained, DataSource("tiny"), options=ReadOptions())
    with raises(ValueError, tmp_path / "alone.keras", "--calibrate"):
        check_request(tmp_path / "alone.keras", calibrate=tmp_path / "new.keras")
    with raises(ValueError, "new.h5", ".keras"):
        check_request(trained, calibrate=tmp_path / "new.h5")
    with raises(ValueError, tmp_path / "alone.keras"):
        check_request(trained, calibrate=tmp_path / "alone.keras")
    assert check_request(trained, calibrate=tmp_path / "new.keras").run == trained


def test_a_run_without_validation_images_offers_no_temperature(trained, tmp_path):
    with raises(ValueError, trained, "--validation-split"):
        evaluate(trained, calibrate=tmp_path / "new.keras", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_checks_load_no_keras():
    script = "import sys, resnet50.evaluation.evaluate; sys.exit({'keras', 'matplotlib'} & {*sys.modules} != set())"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
