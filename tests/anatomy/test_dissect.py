"""A tiny trained run, taken apart as a whole: its numbers, its page and its command."""

from __future__ import annotations

import re
from dataclasses import astuple, replace

import keras
import numpy as np
import pytest

from factories import TINY_STAGES, fill_random, noise, raises, tiny_model, tiny_recipe, write_image
from resnet50 import Classifier, DataSource, build_resnet50, dissect, rendered_signs, train
from resnet50.anatomy import dissect as module
from resnet50.anatomy.page import anatomy_page
from resnet50.data.dataset import Unreadable
from resnet50.data.left_out import LeftOut
from resnet50.data.splits import DatasetSplits
from resnet50.evaluation.scored_images import ScoredImages

pytestmark = pytest.mark.slow

BLOCKS = ["conv2_block1", "conv2_block2", "conv3_block1", "conv3_block2"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("anatomy")
    for split, dataset in zip(("train", "test"), rendered_signs(train=24, test=12, image_size=48), strict=True):
        for number, (image, label) in enumerate(zip(dataset.images, dataset.labels, strict=True)):
            write_image(folder / "hands" / split / f"<{dataset.class_names[label]}>" / f"{number}.png", image)
    source = DataSource("folder", str(folder / "hands"))
    recipe = tiny_recipe(epochs=1, warmup_epochs=0, image_size=48, stages=tuple(map(astuple, TINY_STAGES)))
    return train(recipe, source.load(48), out=folder / "run", source=source, progress=False).folder.path


@pytest.fixture(scope="module")
def anatomy(run):
    return dissect(run)


def test_every_part_is_measured(anatomy):
    assert [part.name for part in anatomy.parts] == ["stem", *BLOCKS, "head"]
    stem, first, second, *_, head = anatomy.parts
    assert (first.equation, second.equation) == ("y = relu(W x + F(x))", "y = relu(x + F(x))")
    assert (stem.shortcut, first.shortcut, second.shortcut) == (None, "W x", "x")
    assert "def convolutional_block" in first.source
    assert "def identity_block" in second.source
    assert '"""' not in first.source
    assert "\n@" not in first.source
    times = "\N{MULTIPLICATION SIGN}"
    assert first.convolutions == (f"1{times}1, 4", f"3{times}3, 6", f"1{times}1, 16")
    assert (first.projection, second.projection) == ((f"1{times}1, 16",), ())
    assert second.shape == (12, 12, 16)
    # conv2_block2: 1x1 16 to 4, 3x3 4 to 6, 1x1 6 to 16, with biases, and three batch norms
    assert second.parameters == (16 * 4 + 4) + (9 * 4 * 6 + 6) + (6 * 16 + 16) + 4 * (4 + 6 + 16)
    assert second.macs == 12 * 12 * (16 * 4 + 9 * 4 * 6 + 6 * 16)
    assert stem.feature_map.field.size == (11, 11)
    assert head.layer == "predictions"
    for part in anatomy.parts[1:-1]:
        assert part.contribution.share > 0
        assert part.lesion.images == part.probe.images == 12
        assert part.effective_field.shape == (48, 48)
        assert part.effective_width <= part.feature_map.field.size[0]
        assert [len(view.channels) for view in part.views] == [4] * len(anatomy.images)
        assert set(part.patches) == {each.channel for each in part.views[0].channels}
    assert stem.lesion is None
    assert stem.probe is not None
    assert head.probe is None
    assert anatomy.left_out == ()
    assert anatomy.filters.shape == (64, 7, 7, 3)


def test_the_shown_images_are_held_out_ones(anatomy):
    assert 1 <= len(anatomy.images) <= 2
    assert {image.name for image in anatomy.images} <= set(anatomy.scored.paths)


def test_the_page_stands_alone_and_escapes_names(anatomy):
    page = anatomy_page(anatomy)
    assert "<script" not in page
    assert set(re.findall(r'(?:src|href)="([a-z]*)', page)) == {"data"}
    assert "&lt;" in page
    assert "12 x 12 cells, 4 pixels apart" in page
    assert page.count('type="radio"') == 6
    assert "srcdoc" in anatomy._repr_html_()


def test_without_its_images_the_rest_is_measured(tmp_path):
    path = tmp_path / "model.keras"
    Classifier(tiny_model(size=(48, 48)), ("a", "b", "c"), "letters", "0" * 64, {}, {}).save(path)
    photo = write_image(tmp_path / "photo.png", noise(50, 60, 3))
    anatomy = dissect(path, [photo, noise(48, 48, 3)])
    assert [image.name for image in anatomy.images] == [str(photo), "image 1"]
    assert len(anatomy.left_out) == 1
    block = anatomy.parts[1]
    assert block.contribution is not None
    assert block.lesion is block.probe is block.patches is None
    assert "photo.png" in anatomy_page(anatomy)
    alone = dissect(path)
    assert alone.parts[1].views == ()
    assert alone.parts[1].contribution is None
    assert "conv3_block2" in anatomy_page(alone)


@pytest.mark.parametrize(
    ("form", "equations", "function"),
    [
        ("plain", ("y = relu(F(x))", "y = relu(F(x))"), "def plain_block"),
        (
            "preactivation",
            ("y = W a + F(a), a = relu(norm(x))", "y = x + F(a), a = relu(norm(x))"),
            "def preactivated_residual",
        ),
    ],
)
def test_every_form_is_taken_apart(form, equations, function, tmp_path):
    path = tmp_path / "model.keras"
    Classifier(tiny_model(size=(48, 48), form=form), ("a", "b", "c"), "letters", "0" * 64, {}, {}).save(path)
    for number in range(6):
        write_image(tmp_path / "new" / "abc"[number % 3] / f"{number}.png", noise(48, 48, 3, seed=number))
    anatomy = dissect(path, source=tmp_path / "new")
    first, second = anatomy.parts[1:3]
    assert (first.equation, second.equation) == equations
    assert function in second.source
    has_shortcuts = form != "plain"
    assert len(anatomy.left_out) == (1 if has_shortcuts else 2)  # the training images are not known
    assert [issue.kind for issue in anatomy.issues] == ["unknown-training"]
    assert (second.lesion is not None) == (second.contribution is not None) == has_shortcuts
    assert list(second.views[0].channels[0].maps) == (["x", "F(a)", "y"] if has_shortcuts else ["y"])
    assert sum(part.parameters for part in anatomy.parts) == anatomy.classifier.model.count_params()
    assert anatomy.parts[0].layer == "pool1_pool"
    page = anatomy_page(anatomy)
    assert "conv3_block2" in page
    assert ("dashed line" in page) == ("A line over a block" in page) == has_shortcuts  # a plain one has no bars here


def test_basic_blocks_are_taken_apart(tmp_path):
    path = tmp_path / "model.keras"
    stages = tuple(replace(stage, filters=stage.filters[-2:]) for stage in TINY_STAGES)
    model = fill_random(build_resnet50(3, input_shape=(48, 48, 3), stages=stages), 0)
    Classifier(model, ("a", "b", "c"), "letters", "0" * 64, {}, {}).save(path)
    anatomy = dissect(path, [noise(48, 48, 3)])
    assert "def basic_block" in anatomy.parts[2].source
    assert [words.split(",")[0] for words in anatomy.parts[2].convolutions] == ["3\u00d73", "3\u00d73"]


def test_a_block_of_ones_own_is_shown_without_lines_of_the_library(tmp_path):
    def gelu(layer):
        own = layer.name == "conv2_block2_1_relu"
        return keras.layers.Activation("gelu", name=layer.name) if own else type(layer).from_config(layer.get_config())

    model = keras.models.clone_model(tiny_model(size=(48, 48)), clone_function=gelu)
    Classifier(model, ("a", "b", "c"), "letters", "0" * 64, {}, {}).save(tmp_path / "model.keras")
    parts = dissect(tmp_path / "model.keras").parts
    assert [bool(part.source) for part in parts] == [False, True, False, True, True, False]


def test_a_block_in_another_order_than_the_librarys_is_described_as_it_is(tmp_path):
    def block(x, name, *, relu_first, norm_first=True, tail=False):
        y = keras.layers.BatchNormalization(name=f"{name}_1_bn")(x) if norm_first else x
        y = keras.layers.ReLU(name=f"{name}_1_relu")(y) if relu_first else y
        for number in (1, 2):
            y = keras.layers.Conv2D(4, 3, padding="same", name=f"{name}_{number}_conv")(y)
        y = keras.layers.Add(name=f"{name}_add")([x, y])
        return keras.layers.ReLU(name=f"{name}_out")(y) if tail else y

    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", name="conv1_conv")(inputs)
    x = block(x, "conv2_block1", relu_first=False)
    x = block(x, "conv2_block2", relu_first=True, tail=True)
    x = block(x, "conv2_block3", relu_first=False, norm_first=False)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax", name="predictions")(x))
    Classifier(model, ("a", "b", "c"), "letters", "0" * 64, {}, {}).save(tmp_path / "model.keras")
    parts = dissect(tmp_path / "model.keras").parts[1:4]
    assert [part.equation for part in parts] == [
        "y = x + F(a), a = norm(x)",
        "y = relu(x + F(a)), a = relu(norm(x))",
        "y = x + F(x)",
    ]
    assert [part.source for part in parts] == [""] * 3


def test_images_of_another_place_have_no_training_images(run, tmp_path):
    for number in range(4):
        write_image(tmp_path / "new" / f"<{number % 2}>" / f"{number}.png", noise(48, 48, 3, seed=number))
    anatomy = dissect(run, source=tmp_path / "new")
    assert anatomy.parts[1].lesion.images == 4
    assert anatomy.parts[1].probe is None
    assert len(anatomy.left_out) == 1


def test_images_and_files_that_are_not_used_are_counted_and_named(anatomy, monkeypatch):
    found = DatasetSplits(
        test=anatomy.scored,
        unreadable=(Unreadable("cats/a.png", "no image"), Unreadable("cats/b.png", "no image")),
        left_out=(LeftOut("not-image", "dogs", ".dcm", 3),),
    )
    images = ScoredImages(anatomy.scored, anatomy.training, None, found, None, ())
    monkeypatch.setattr(module, "MOST_SCORED", 7)
    drawn, unreadable, others = module._unused(images)
    assert "7 of 12 held-out" in drawn
    assert "2 files" in unreadable
    assert "cats/a.png (no image)" in unreadable
    assert "3 .dcm" in others


def test_probes_that_cannot_be_fitted_are_left_out(anatomy, monkeypatch):
    monkeypatch.setattr(module, "lesions", lambda *_, **__: ())
    _, firsts = np.unique(anatomy.training.labels, return_index=True)
    found = module._with_scores(replace(anatomy, training=anatomy.training.select(firsts)), None)
    (reason,) = found.left_out
    assert "probes" in reason


def test_too_many_images_an_export_and_a_missing_place_are_refused(run, tmp_path):
    with raises(ValueError, "4", "5"):
        dissect(run, [np.zeros((8, 8, 3), np.uint8)] * 5)
    with raises(FileNotFoundError, tmp_path / "nothing"):
        dissect(run, source=tmp_path / "nothing")
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "resnet50.json").write_text("{}")
    with raises(ValueError, tmp_path / "export"):
        dissect(tmp_path / "export")


def test_a_block_is_chosen_by_mouse_and_keyboard(anatomy, browser, tmp_path):
    path = tmp_path / "anatomy.html"
    path.write_text(anatomy_page(anatomy), encoding="utf-8")
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.goto(path.as_uri())

    def visible():
        return [panel.get_attribute("aria-label") for panel in page.query_selector_all(".panel") if panel.is_visible()]

    assert visible() == ["stem"]
    page.click("label[for=block3]")
    assert visible() == ["conv2_block2"]
    page.keyboard.press("ArrowRight")
    assert visible() == ["conv3_block1"]
    for _ in range(2):
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.keyboard.press("ArrowRight")
    box = page.locator("label[for=block6]").bounding_box()  # the strip is wider than the page, and moves
    assert (visible(), box["x"] >= 0, box["x"] + box["width"] <= 390) == (["head"], True, True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()
