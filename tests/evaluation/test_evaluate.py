from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from factories import draw_image, raises, tiny_recipe
from resnet50 import datasets
from resnet50.data.options import ReadOptions
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.rendered_signs import rendered_signs, write_rendered_signs
from resnet50.datasets.source import DataSource
from resnet50.evaluation.evaluate import check_request, evaluate
from resnet50.inference.classifier import Classifier

pytestmark = pytest.mark.slow  # trained runs


@pytest.fixture(scope="module")
def splits() -> DatasetSplits:
    return DatasetSplits(*rendered_signs(train=24, test=6, image_size=32))


@pytest.fixture(scope="module")
def trained(splits, tmp_path_factory):
    """The folder of a finished run, which recorded its source."""
    from resnet50.training.train import train

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(datasets.DATASETS, "tiny", lambda path, *, image_size, fit=None, progress=None: splits)
        out = tmp_path_factory.mktemp("trained") / "run"
        recipe = tiny_recipe(epochs=2)
        return train(recipe, splits, out=out, source=DataSource("tiny"), progress=False).folder.path


@pytest.fixture(autouse=True)
def _tiny(splits, monkeypatch, tmp_path):
    def load(path, *, image_size, fit=None, progress=None):
        if path is not None:
            raise FileNotFoundError(path)
        return splits

    monkeypatch.setitem(datasets.DATASETS, "tiny", load)
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
def commands(folder):
    page = (folder / "report.html").read_text(encoding="utf-8")
    return [html.unescape(re.sub("</?b>|<br>", " ", text)) for text in re.findall("<pre>(.*?)</pre>", page)]


def test_the_report_shows_the_training_of_the_run(trained, tmp_path):
    result = evaluate(trained, out=tmp_path / "out")
    page = (result.folder / "report.html").read_text(encoding="utf-8")
    assert (result.folder / "curves.png").is_file()
    settings = re.search(r'<h2 id="training">(.*?)<h2', page, re.DOTALL)[1]
    assert all(f"<dd>{value}</dd>" in settings for value in ("tiny", "32 x 32 pixels", 8, 3))  # name, size, batch, seed
    assert "after 2 epochs" in settings
    assert " ".join(commands(result.folder)[0].split()) == "resnet50 check tiny --image-size 32"


def test_a_model_outside_of_a_run_has_settings_and_no_curves(trained, tmp_path):
    shutil.copy(trained / "model.keras", tmp_path / "alone.keras")
    result = evaluate(tmp_path / "alone.keras")
    page = (result.folder / "report.html").read_text(encoding="utf-8")
    assert "32 x 32 pixels" in page
    assert not (result.folder / "curves.png").exists()
    assert 'alt="Learning curves' not in page


def test_a_run_without_a_history_is_scored_and_a_damaged_history_is_refused(trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    (run / "history.csv").write_text("epoch,loss\n1,much\n")
    with raises(ValueError, run / "history.csv"):
        evaluate(run, out=tmp_path / "out")
    (run / "history.csv").unlink()
    assert not (evaluate(run, out=tmp_path / "out").folder / "curves.png").exists()


def test_another_source_is_read_with_its_options(trained, tmp_path):
    write_rendered_signs(tmp_path / "other", train=12, test=6, image_size=32, seed=9)
    calls = []
    for source in (tmp_path / "other", str(tmp_path / "other"), DataSource("folder", str(tmp_path / "other"))):
        result = evaluate(trained, source, out=tmp_path / "out", progress=lambda *call: calls.append(call))
        assert result.report.images == 6
        assert result.folder == tmp_path / "out"
    assert calls


def test_deep_images_are_refused_as_in_prediction_where_training_had_none(trained, tmp_path):
    """No range of the source's own: the classifier would see other images than `predict` shows it."""
    for name in ("0", "1"):
        (tmp_path / "deep" / name).mkdir(parents=True)
        deep = np.random.default_rng(int(name)).integers(0, 4096, (32, 32)).astype(np.uint16)
        Image.fromarray(deep).save(tmp_path / "deep" / name / "a.png")
    with raises(ValueError, "deep", "8 bits"):
        evaluate(trained, tmp_path / "deep", out=tmp_path / "out")


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


@pytest.fixture
def names(trained):
    """Class names of the classifier."""
    return Classifier.load(trained / "model.keras").class_names


@pytest.mark.parametrize("place", ["test/{}", "{}"])
def test_a_test_split_alone_and_one_class_alone_are_scored(trained, names, tmp_path, place):
    for k in range(3):
        draw_image(tmp_path / "new" / place.format(names[1]) / f"{k}.png", k)
    result = evaluate(trained, tmp_path / "new", out=tmp_path / "out")
    assert [scores.support for scores in result.report.classes.values()] == [0, 3, 0, 0, 0, 0]
    (absent,) = [issue for issue in result.warnings if issue.kind == "missing-class"]
    assert f"5 of {len(names)} classes" in absent.summary
    assert names[0] in absent.summary
    assert (tmp_path / "out" / "report.html").is_file()


def test_a_table_of_test_images_is_scored(trained, names, tmp_path):
    for k in range(3):
        draw_image(tmp_path / f"{k}.png", k)
    rows = "".join(f"{k}.png,{names[k]},test\n" for k in range(3))
    (tmp_path / "new.csv").write_text("path,label,split\n" + rows, encoding="utf-8")
    assert evaluate(trained, tmp_path / "new.csv", out=tmp_path / "out").report.images == 3


def test_images_of_unknown_classes_are_counted_and_left_out(trained, names, tmp_path):
    for k in range(4):
        draw_image(tmp_path / "new" / names[2] / f"{k}.png", k)
        draw_image(tmp_path / "new" / "unicorn" / f"{k}.png", k + 10)
    draw_image(tmp_path / "new" / "0 dragons" / "1.png", 30)
    result = evaluate(trained, tmp_path / "new", out=tmp_path / "out")
    assert result.report.images == 4
    assert result.report.classes[names[2]].support == 4
    (unknown,) = [issue for issue in result.warnings if issue.kind == "unknown-class"]
    assert "5 of 9 images (55.6%)" in unknown.summary
    assert "unicorn (4), 0 dragons (1)" in unknown.summary
    assert len(unknown.examples) == 5
    assert unknown in result.report.issues


def test_images_of_unknown_classes_alone_are_refused(trained, names, tmp_path):
    draw_image(tmp_path / "new" / "unicorn" / "1.png", 1)
    with raises(ValueError, tmp_path / "new", names[0], "unicorn"):
        evaluate(trained, tmp_path / "new", out=tmp_path / "out")
