from __future__ import annotations

import json
import shutil
import types
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from resnet50 import recipes
from resnet50.data.hdf5 import read_part, write_part
from resnet50.recipes import folder

FILES = {"report.json", "report.html", "confusion.png", "reliability.png", "mistakes.png", "balance.png"}


@pytest.fixture(autouse=True)
def _task(command, tiny_task, monkeypatch):
    """The tiny task, which also reads the place that is named."""
    from resnet50.data.pictures import load_pictures

    def load(data, *, side, progress=None):
        return tiny_task.load(None) if data is None else load_pictures(data, side=side, progress=progress)

    monkeypatch.setitem(recipes.RECIPES, "tiny", types.SimpleNamespace(**{**vars(tiny_task), "load": load}))


@pytest.fixture(scope="module")
def held_out(tiny_task, tmp_path_factory):
    """The folder of a run that held pictures out, of which some are taken for another class."""
    from resnet50.training.fit import train

    recipe = replace(tiny_task.RECIPE, validation=0.25)
    return train(recipe, tiny_task.load(None), out=tmp_path_factory.mktemp("held") / "run").folder.path


def test_a_run_is_scored_on_its_own_test_pictures(command, trained):
    status, out, err = command("evaluate", trained)
    assert (status, err) == (0, "")
    first, second, table, *_, last = out.splitlines()
    assert first.startswith("rendered signs, 6 pictures: accuracy ")
    assert second.startswith("top 2 ")
    assert "calibration error" in second
    assert table.split() == ["class", "precision", "recall", "F1", "pictures"]
    assert last == str(trained / "evaluation" / "report.html")
    assert {path.name for path in (trained / "evaluation").iterdir()} == FILES


def test_json_equals_the_runs_report_and_a_report_stands_beside_the_model(command, trained, files, tmp_path):
    model = tmp_path / "mine.keras"
    model.write_bytes((trained / "model.keras").read_bytes())
    status, out, _ = command("evaluate", model, "--data", files, "--json")
    assert status == 0
    told, there = json.loads(out), json.loads((trained / "report.json").read_text())
    for name in ("accuracy", "interval", "loss", "classes", "confusion"):
        assert told[name] == there[name]
    assert {path.name for path in (tmp_path / "mine-report").iterdir()} == FILES
    assert json.loads((tmp_path / "mine-report" / "report.json").read_text()) == told


def test_pictures_without_parts_are_all_scored_with_the_classes_of_the_model(command, trained, files, tmp_path):
    test = read_part(files / "test_signs.h5", "test")
    for index, (image, label) in enumerate(zip(test.images, test.labels, strict=True)):
        if label != 1:  # a class that the model knows, but of which there are no pictures
            folder = tmp_path / "mine" / test.class_names[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / f"{index}.png")
    status, out, err = command("evaluate", trained, "--data", "mine", "--out", "said", "--json")
    assert status == 0
    assert err == ""
    told = json.loads(out)
    assert list(told["classes"]) == list("012345")
    assert [scores["support"] for scores in told["classes"].values()] == [1, 0, 1, 1, 1, 1]
    assert {path.name for path in (tmp_path / "said").iterdir()} == FILES


def test_classes_in_another_order_are_brought_into_the_models(command, trained, files):
    test = read_part(files / "test_signs.h5", "test")
    _, out, _ = command("evaluate", trained, "--data", files, "--json")
    turned = replace(test, labels=5 - test.labels, class_names=tuple("543210"))
    write_part(turned, "turned.h5", "test")
    status, again, _ = command("evaluate", trained, "--data", "turned.h5", "--json")
    assert status == 0
    for name in ("accuracy", "loss", "confusion", "classes"):
        assert json.loads(again)[name] == json.loads(out)[name]


def test_brackets_in_the_name_of_a_class_or_data_set_are_printed_as_they_are(capsys):
    from resnet50.cli.progress import show_report
    from resnet50.data.split import Split
    from resnet50.evaluation.report import score

    names = ("[bold]", "[/]")
    split = Split(np.zeros((2, 4, 4, 3), np.uint8), np.array([0, 1]), names, ("a", "b"), "[/red]mine")
    show_report(score(np.eye(2), split))
    printed = capsys.readouterr().out
    for name in (*names, "[/red]mine, 2 pictures: accuracy 100.00%"):
        assert name in printed


def test_the_means_say_which_classes_they_are_over_and_a_temperature_that_it_is_worse(capsys):
    from resnet50.cli.progress import show_report
    from resnet50.data.split import Split
    from resnet50.evaluation.calibration import Scaled
    from resnet50.evaluation.report import score

    split = Split(np.zeros((1, 4, 4, 3), np.uint8), np.array([0]), ("a", "b"), ("x",), "mine")
    report = score(np.array([[0.9, 0.1]]), split)
    show_report(report)
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("mine, 1 picture: accuracy ")
    assert "macro F1 100.0%, balanced accuracy 100.0% (both over the 1 class that has test pictures), cal" in second
    worse = replace(report, scaled=Scaled(2.0, 80, calibration_error=0.5, loss=2.0))
    show_report(worse)
    line = capsys.readouterr().out.splitlines()[2]
    assert line == (
        "with a temperature of 2.00, fitted on 80 validation pictures: calibration error 50.0%, loss 2.000, both worse"
    )
    show_report(replace(worse, no_temperature="It ends at its limit."))
    assert "temperature" not in capsys.readouterr().out
    two = replace(split, images=np.zeros((2, 4, 4, 3), np.uint8), labels=np.array([0, 1]), sources=("x", "y"))
    show_report(score(np.eye(2), two))
    assert "balanced accuracy 100.0%, calibration error" in capsys.readouterr().out


def test_a_calibrated_classifier_has_the_scores_that_were_foretold(command, held_out, files, monkeypatch, tmp_path):
    from resnet50 import report

    monkeypatch.setattr(report, "fit_temperature", lambda *_: 1.7)  # as if the six pictures were enough
    from resnet50.classifier import Classifier

    status, out, err = command("evaluate", held_out, "--calibrate", "calibrated.keras")
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == "calibrated.keras"
    assert "fitted on 6 validation pictures: calibration error" in out
    foretold = json.loads((held_out / "evaluation" / "report.json").read_text())
    scaled = foretold["scaled"]
    carried = Classifier.load(tmp_path / "calibrated.keras").metrics
    assert carried["temperature"] == scaled["temperature"]
    assert carried["loss"] == scaled["loss"]
    assert carried["accuracy"] == foretold["accuracy"]

    _, out, _ = command("evaluate", "calibrated.keras", "--data", files, "--json")
    told = json.loads(out)
    assert told["confusion"] == foretold["confusion"]
    assert told["loss"] == pytest.approx(scaled["loss"], rel=1e-4)
    assert told["calibration_error"] == pytest.approx(scaled["calibration_error"], abs=1e-4)
    assert told["loss"] != pytest.approx(foretold["loss"], rel=1e-4)

    status, _, err = command("evaluate", held_out, "--calibrate", "calibrated.keras")
    assert status == 2
    assert err == ("resnet50 evaluate: calibrated.keras: there is a file already; remove it, or choose another name.\n")


def test_what_cannot_be_calibrated_is_said_before_any_work(command, trained, held_out, files, tmp_path):
    model = tmp_path / "m.keras"
    test = read_part(files / "test_signs.h5", "test")
    write_part(test, tmp_path / "other.h5", "test")
    for words, text in [
        (
            (model, "--calibrate", "x.keras"),
            f"{model}: --calibrate needs the folder of a run, which says what was held ",
        ),
        ((trained, "--calibrate", "x.h5"), "x.h5: the name of a classifier must end in .keras."),
        ((trained, "--calibrate", "x.keras"), f"{trained}: needed validation pictures to fit a temperature on, but "),
        (
            (held_out, "--calibrate", "x.keras", "--data", "other.h5"),
            f"{held_out}: --calibrate needs the pictures that the run was trained on, found others.",
        ),
    ]:
        status, out, err = command("evaluate", *words)
        assert (status, out) == (2, "")
        assert err.startswith(f"resnet50 evaluate: {text}")
        assert err.count("\n") == 1
    assert not list(tmp_path.glob("x.*"))


def test_where_no_temperature_is_offered_none_is_used(command, held_out, monkeypatch, tmp_path):
    from resnet50 import report
    from resnet50.evaluation.calibration import Scaled

    status, _, err = command("evaluate", held_out, "--calibrate", "x.keras", "--out", "o")
    assert status == 2
    assert err == (
        f"resnet50 evaluate: {held_out}: no temperature is offered: needed at least 50 validation pictures to fit a "
        "temperature on, got 6; of fewer chance makes it. The report is in o.\n"
    )
    monkeypatch.setattr(report, "_scaled", lambda *_: (Scaled(20.0, 60, 0.1, 1.0), "it ends at its limit."))
    status, _, err = command("evaluate", held_out, "--calibrate", "x.keras", "--out", "o")
    assert status == 2
    assert err.endswith(": no temperature is offered: it ends at its limit. The report is in o.\n")
    assert not (tmp_path / "x.keras").exists()


def test_what_cannot_be_scored_is_said_in_one_line(command, trained, files, tmp_path):
    test = read_part(files / "test_signs.h5", "test").take(range(3))
    write_part(replace(test, class_names=tuple("uvwxyz")), "others.h5", "test")
    write_part(replace(test, class_names=tuple(f"n{k}" for k in range(12)), labels=np.arange(3)), "many.h5", "test")
    for words, text in [
        (("nowhere.keras",), "nowhere.keras: needed a classifier (.keras), found nothing there"),
        ((trained, "--data", "nowhere"), "nowhere: "),
        ((trained, "--pattern", "x"), "--pattern says how --data is read: name that too.\n"),
        (
            (trained, "--test", "0.2", "--most-unreadable", "0.2"),
            "--test, --most-unreadable say how --data is read: name that too.\n",
        ),
        (
            (trained, "--data", "others.h5"),
            "others.h5: needed pictures of the classes 0, 1, 2, 3, 4, 5, found others: u, v, w, x, y, z.\n",
        ),
        (
            (trained, "--data", "many.h5"),
            "many.h5: needed pictures of the classes 0, 1, 2, 3, 4, 5, found others: n0, n1, n2, n3, n4, n5, n6, n7, "
            "n8, n9, ….\n",
        ),
    ]:
        status, out, err = command("evaluate", *words)
        assert (status, out) == (2, "")
        assert err.startswith(f"resnet50 evaluate: {text}")
        assert err.count("\n") == 1
    assert not (tmp_path / "nowhere-report").exists()


def test_pictures_that_changed_since_the_training_are_not_scored_unasked(command, trained, tiny_task, monkeypatch):
    parts = tiny_task.load(None)
    fewer = replace(parts, training=parts.training.take(range(20)))
    other = types.SimpleNamespace(**{**vars(tiny_task), "load": lambda data, **_: fewer})
    monkeypatch.setitem(recipes.RECIPES, "tiny", other)
    status, _, err = command("evaluate", trained)
    assert status == 2
    assert err == (
        f"resnet50 evaluate: {trained / 'model.keras'}: the pictures that it was trained on are others by now, so that "
        "some of them may be in the test part; name what to score by --data.\n"
    )


def test_a_test_part_that_changed_since_the_training_is_told(command, trained, tiny_task, monkeypatch, tmp_path):
    parts = tiny_task.load(None)
    fewer = replace(parts, test=parts.test.take(range(5)))
    other = types.SimpleNamespace(**{**vars(tiny_task), "load": lambda data, **_: fewer})
    monkeypatch.setitem(recipes.RECIPES, "tiny", other)
    status, _, err = command("evaluate", trained, "--out", "o")
    assert status == 0
    line = (
        "The test part is another than the one that was scored at the end of training: {}. These figures are not "
        f"comparable with those in {trained / 'report.json'}.\n"
    )
    assert err == f"warning: {line.format('6 pictures then, 5 now')}"
    finding = json.loads((tmp_path / "o" / "report.json").read_text())["findings"][0]
    assert (finding["kind"], finding["severity"]) == ("changed-test", "warning")
    pictures = (trained / "pictures.csv").rename(tmp_path / "pictures.csv")  # a run of an earlier version
    try:
        assert command("evaluate", trained, "--out", "o")[2] == f"warning: {line.format('5 pictures now')}"
    finally:
        pictures.rename(trained / "pictures.csv")


def test_a_recipe_that_is_not_known_needs_data(command, trained, monkeypatch):
    monkeypatch.delitem(recipes.RECIPES, "tiny")
    status, _, err = command("evaluate", trained / "model.keras")
    assert status == 2
    assert err.endswith("model.keras: its recipe 'tiny' is not known here; name the --data.\n")


@pytest.fixture
def scored(monkeypatch):
    """What each report that is written from now on is on."""
    from resnet50 import report

    write, seen = report.write_report, []

    def told(out, classifier, test, **others):
        seen.append(set(test.sources))
        return write(out, classifier, test, **others)

    monkeypatch.setattr(report, "write_report", told)
    return seen


@pytest.fixture(scope="module")
def own_task(tiny_task):
    recipe = replace(tiny_task.RECIPE, name="own", epochs=1)
    return types.SimpleNamespace(__doc__="Own.", RECIPE=recipe, VARIANTS={"scratch": recipe}, load=folder.load)


@pytest.fixture(scope="module")
def trained_on_plants(own_task, tmp_path_factory):
    """A folder with thirty pictures of two classes of noise, bright and dark, and a run on 18 of them."""
    from resnet50.training.fit import train

    base, rng = tmp_path_factory.mktemp("base"), np.random.default_rng(0)
    for name, low in (("bright", 128), ("dark", 0)):
        (base / "plants" / name).mkdir(parents=True)
        for number in range(15):
            pixels = rng.integers(low, low + 128, (40, 44, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(base / "plants" / name / f"{number:02}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESNET50_CACHE", str(base / "cache"))
        parts = own_task.load(base / "plants", side=32, test=0.4)
        noted = {"task": "own", "path": str(base / "plants"), "how": {"test": 0.4}}
        train(own_task.RECIPE, parts, out=base / "run", data=noted)
    return base


@pytest.fixture
def plants(trained_on_plants, tmp_path):
    """The pictures in a folder of their own, with the run beside it that knows them by this place."""
    for name in ("plants", "run"):
        shutil.copytree(trained_on_plants / name, tmp_path / name)
    noted = tmp_path / "run" / "environment.json"
    noted.write_text(noted.read_text().replace(str(trained_on_plants), str(tmp_path)))
    return tmp_path / "plants"


@pytest.fixture
def own(command, own_task, plants, monkeypatch):
    """What the run was trained on."""
    monkeypatch.setitem(recipes.RECIPES, "own", own_task)
    sources = set(own_task.load(plants, side=32, test=0.4).training.sources)
    assert len(sources) == 18
    return sources


def test_nothing_that_was_trained_on_is_scored(command, own, scored, plants, tmp_path):
    model = tmp_path / "run" / "model.keras"
    copy = tmp_path / "copy.keras"
    copy.write_bytes(model.read_bytes())
    (tmp_path / "link.keras").symlink_to(model)
    pattern = ("--pattern", "(?P<class>bright|dark)/")
    for words in (
        ("run",),
        ("run", "--data", plants),
        ("run", "--data", plants, *pattern),
        ("run", "--data", plants, "--test", "0.4", "--most-unreadable", "0.5"),
        ("run/model.keras",),
        ("run/model.keras", "--data", plants),
        ("run/model.keras", "--data", plants, *pattern),
        ("link.keras", "--data", plants),
        ("copy.keras", "--data", plants, "--test", "0.4"),
        ("copy.keras", "--data", plants, "--test", "0.4", *pattern),
    ):
        status, _, err = command("evaluate", *words)
        assert (status, err) == (0, ""), words
        assert len(scored[-1]) == 12, words
        assert not scored[-1] & own, words
    assert {path.name for path in (tmp_path / "run" / "evaluation").iterdir()} == FILES
    status, _, err = command("evaluate", "run/model.keras", "--calibrate", "new.keras")
    assert status == 2
    assert "needed validation pictures" in err  # and not: needed a run


def test_where_pictures_that_were_trained_on_may_be_scored_it_is_said(command, own, scored, tmp_path):
    (tmp_path / "copy.keras").write_bytes((tmp_path / "run" / "model.keras").read_bytes())
    status, _, err = command("evaluate", "copy.keras", "--data", "plants")
    assert status == 0
    assert err == (
        "warning: plants has no test part that is known: all of it is scored (30 pictures), and the classifier may "
        "have been trained on some. If it was, the figures are worth nothing. Name the folder of its run, which knows "
        "its pictures again, or pictures that it has never seen.\n"
    )
    first = json.loads((tmp_path / "copy-report" / "report.json").read_text())["findings"][0]
    assert (first["kind"], first["severity"]) == ("unknown-training", "warning")
    assert "all of it is scored (30 pictures)" in (tmp_path / "copy-report" / "report.html").read_text()
    assert own <= scored[-1]

    status, _, err = command("evaluate", "copy.keras", "--data", "plants", "--test", "0.3")
    assert (status, err) == (
        2,
        "resnet50 evaluate: plants: needed the share that the training kept for the test, got --test 0.3, which leaves "
        "other pictures than it was trained on; leave it out to score them all.\n",
    )


def test_a_run_knows_its_pictures_again_wherever_they_lie(command, own, plants, tmp_path):
    status, _, err = command("evaluate", "run", "--data", plants)
    assert (status, err) == (0, "")
    elsewhere = tmp_path / "elsewhere"
    for name in ("bright", "dark"):
        (elsewhere / name).mkdir(parents=True)
        for number in range(10):
            (elsewhere / name / f"new {number}.png").write_bytes((plants / name / f"{number:02}.png").read_bytes())
    known = sum(f"{name}/{number:02}.png" in own for name in ("bright", "dark") for number in range(10))
    assert 0 < known < 20
    status, _, err = command("evaluate", "run", "--data", "elsewhere")
    assert status == 0
    assert err == (
        f"error: {known} of 20 pictures to be scored ({known / 20:.1%}) are exact copies of ones that the run learned "
        "from or validated on. Their score says nothing of new pictures: take out those that report.json names.\n"
    )
    findings = json.loads((tmp_path / "run" / "evaluation" / "report.json").read_text())["findings"]
    (first,) = (finding for finding in findings if finding["kind"] == "seen")
    assert {of["source"] for _, of in first["examples"]} <= own
    assert len(first["examples"]) == known
    assert f"{known} of 20 pictures to be scored" in (tmp_path / "run" / "evaluation" / "report.html").read_text()

    Image.new("RGB", (40, 40), "white").save(plants / "bright" / "one more.png")  # which moves its own cut
    assert "18 of 31 pictures to be scored" in command("evaluate", "run", "--data", plants)[2]
    for name in ("bright", "dark"):
        for number in range(10):
            if f"{name}/{number:02}.png" in own:
                (elsewhere / name / f"new {number}.png").unlink()
    status, _, err = command("evaluate", "run", "--data", "elsewhere")
    assert (status, err) == (0, "")

    (tmp_path / "run" / "pictures.csv").unlink()  # a run of an earlier version
    err = command("evaluate", "run", "--data", plants)[2]
    assert err.startswith(f"warning: {plants} has no test part that is known: all of it is scored (31 pictures), and")


def test_pictures_that_moved_can_be_named(command, own, plants, tmp_path):
    plants.rename(tmp_path / "moved")
    status, _, err = command("evaluate", "run")
    assert status == 2
    assert err == (
        f"resnet50 evaluate: {plants}: needed a folder of pictures or a CSV file, found nothing there. The run had its "
        "pictures there; name by --data where they are now.\n"
    )
    status, _, err = command("evaluate", "run", "--data", "moved")
    assert (status, err) == (0, "")
