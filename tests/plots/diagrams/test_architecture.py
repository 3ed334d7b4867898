"""The texts of the diagrams, compared with the layers of the model."""

from __future__ import annotations

from collections import Counter

import keras
import pytest
from matplotlib.figure import Figure

from factories import png, raises
from resnet50.blocks import identity_block
from resnet50.build import build_resnet50
from resnet50.conventions import V1, V1_5
from resnet50.model import ResNet50, Stage
from resnet50.plots.diagrams.architecture import draw_block, draw_conventions, draw_network


def texts(figure: Figure) -> Counter[str]:
    written = [text.get_text() for axes in figure.axes for text in axes.texts]
    return Counter(text.replace("\N{MULTIPLICATION SIGN}", "x") for text in written)


def network(conventions=None, stages=None, **options) -> keras.Model:
    stages = stages or (Stage("conv2", 2, (4, 6, 10), 1), Stage("conv3", 3, (5, 7, 12), 2))
    return build_resnet50(3, input_shape=(64, 96, 3), conventions=conventions, stages=stages, **options)


def test_an_identity_block_says_what_its_layers_are():
    figure = draw_block(network(V1), "conv3_block2")
    words = texts(figure)
    assert words["Identity block"] == words["relu(x + F(x))"] == words["conv3_block2"] == 1
    assert words["1x1, 5"] == words["3x3, 7"] == words["1x1, 12"] == 1
    assert words["conv"] == words["batch norm"] == words["ReLU"] == 3
    # In, out, and what leaves the last convolution; then the two narrow maps.
    assert words["8 x 12 x 12"] == 3
    assert words["8 x 12 x 5"] == words["8 x 12 x 7"] == 1
    assert png(figure).startswith(b"\x89PNG")


def test_basic_blocks_and_preactivation_are_drawn_as_they_are():
    basic = network(V1_5, (Stage("conv2", 2, (6, 64), 1), Stage("conv3", 1, (5, 12), 2)))
    words = texts(draw_block(basic, "conv2_block1"))
    assert words["Identity block"] == words["3x3, 6"] == words["3x3, 64"] == 1
    words = texts(draw_network(basic))
    assert words["ResNet-8"] == words["identity block: relu(x + F(x))"] == 1
    before = network(V1, form="preactivation")
    words = texts(draw_block(before, "conv3_block1"))
    assert words["Convolutional block"] == words["W a + F(a), a = relu(norm(x))"] == words["W a"] == words["F(a)"] == 1
    assert words["conv"] == 4
    assert words["batch norm"] == words["ReLU"] == 3  # the first ones are in front of both paths
    words = texts(draw_network(before))
    assert words["ResNet-17"] == words["identity block: x + F(a), a = relu(norm(x))"] == 1
    assert words["convolutional block: W a + F(a), a = relu(norm(x))"] == 1


def test_a_plain_network_is_drawn_without_shortcuts():
    plain = network(V1, form="plain")
    words = texts(draw_block(plain, "conv3_block1"))
    assert words["Plain block"] == words["relu(F(x))"] == words["no shortcut"] == 1
    assert words["conv"] == words["batch norm"] == words["ReLU"] == 3
    assert words["x"] == words["W x"] == words["+"] == 0
    words = texts(draw_network(plain))
    assert words["Plain-17"] == words["block: relu(F(x)), without a shortcut"] == 1
    assert not [text for text in words if "x +" in text]


def test_a_convolutional_block_of_v1_strides_on_its_first_convolution():
    words = texts(draw_block(network(V1), "conv3_block1"))
    assert words["Convolutional block"] == words["relu(W x + F(x))"] == 1
    assert words["1x1, 5, /2"] == words["3x3, 7"] == words["1x1, 12"] == words["1x1, 12, /2"] == 1
    assert words["16 x 24 x 10"] == 1
    assert words["8 x 12 x 5"] == words["8 x 12 x 7"] == 1
    assert words["8 x 12 x 12"] == 3
    assert words["conv"] == words["batch norm"] == 4
    assert words["pad 1"] == 0


def test_a_convolutional_block_of_v1_5_strides_on_its_kernel_after_padding():
    words = texts(draw_block(network(V1_5), "conv3_block1"))
    assert words["1x1, 5"] == words["3x3, 7, /2"] == words["pad 1"] == words["1x1, 12, /2"] == 1
    assert words["16 x 24 x 5"] == words["8 x 12 x 7"] == 1


def places(figure: Figure, text: str) -> list[tuple[float, float]]:
    """Where a text is written, in inches from the left and from the bottom of the figure."""
    (axes,) = figure.axes
    return [
        each.get_position() for each in axes.texts if each.get_text().replace("\N{MULTIPLICATION SIGN}", "x") == text
    ]


def test_a_block_is_read_from_top_to_bottom_with_its_shortcut_at_the_right():
    figure = draw_block(network(V1), "conv3_block1")
    path = [places(figure, text)[0] for text in ("1x1, 5, /2", "3x3, 7", "1x1, 12")]
    (shortcut,) = places(figure, "1x1, 12, /2")
    assert len({x for x, _ in path}) == 1
    assert path[0][1] > path[1][1] > path[2][1]
    assert shortcut[0] > path[0][0]
    assert shortcut[1] == path[0][1]


def test_all_that_is_written_is_on_the_figure():
    for figure in (draw_block(network(V1), "conv3_block1"), draw_network(network(V1), width=6)):
        (axes,) = figure.axes
        assert (*axes.get_xlim(), axes.get_ylim()[1] - axes.get_ylim()[0])[1:] == pytest.approx(
            tuple(figure.get_size_inches())
        )
        figure.draw_without_rendering()
        for text in axes.texts:
            box = text.get_window_extent().transformed(axes.transAxes.inverted())
            assert min(box.x0, box.y0) > 0, text
            assert max(box.x1, box.y1) < 1, text


def test_conventions_stand_side_by_side_with_the_stride_that_moves():
    figure = draw_conventions({"v1": network(V1), "v1.5": network(V1_5)}, "conv3_block1", title="Moved")
    words = texts(figure)
    assert words["Moved"] == words["v1"] == words["v1.5"] == words["conv3_block1"] == 1
    (first,), (second,) = places(figure, "1x1, 5, /2"), places(figure, "3x3, 7, /2")
    assert words["1x1, 5"] == words["3x3, 7"] == words["pad 1"] == 1
    assert first[0] < second[0]
    (kernel,), (position,) = ([text for text in words if f"on the {size}" in text] for size in ("1x1", "3x3"))
    assert "1 of 4" in kernel
    assert "every" in position


def test_a_cell_with_a_stride_has_a_color_of_its_own():
    def colors(block: str) -> set[tuple[float, ...]]:
        return {patch.get_facecolor() for patch in draw_block(network(V1), block).axes[0].patches}

    (strided,) = colors("conv3_block1") - colors("conv3_block2")
    assert strided[2] > strided[0]  # blue, as convolutions are


@pytest.mark.parametrize("conventions", [V1, V1_5], ids=["v1", "v1.5"])
@pytest.mark.parametrize("stride", [1, 3])
def test_a_changed_table_changes_the_diagram(conventions, stride):
    model = network(conventions, (Stage("conv2", 1, (8, 9, 11), 1), Stage("extra", 2, (3, 5, 13), stride)))
    for block in ("conv2_block1", "extra_block1", "extra_block2"):
        words = texts(draw_block(model, block))
        for layer in model.layers:
            if isinstance(layer, keras.layers.Conv2D) and layer.name.startswith(f"{block}_"):
                size, filters, step = layer.kernel_size[0], layer.filters, layer.strides[0]
                assert words[f"{size}x{size}, {filters}" + (f", /{step}" if step > 1 else "")] >= 1
                assert words[" x ".join(map(str, layer.output.shape[1:]))] >= 1


def test_unknown_sides_are_written_as_fractions_of_the_input():
    model = ResNet50((None, None, 3), classes=5)
    words = texts(draw_block(model, "conv4_block1"))
    assert words["H/8 x W/8 x 512"] == 1
    assert words["H/16 x W/16 x 1024"] == 3
    assert texts(draw_network(model))["H/32 x W/32 x 2048"] == 1


def test_the_resnet_50_is_drawn_as_table_1_has_it():
    figure = draw_network(build_resnet50(6))
    words = texts(figure)
    assert words["ResNet-50"] == 1
    assert sum("23.6" in text and "16" in text for text in words) == 1
    assert words["64 x 64 x 3"] == words["16 x 16 x 64"] == words["7x7, 64, /2"] == words["max 3x3, /2"] == 1
    sizes = {"conv2": "16 x 16 x 256", "conv3": "8 x 8 x 512", "conv4": "4 x 4 x 1024", "conv5": "2 x 2 x 2048"}
    for stage, size in sizes.items():
        assert words[stage] == words[size] == 1
    assert (words["x 3"], words["x 4"], words["x 6"]) == (2, 1, 1)
    assert words["3x3, 64"] == words["3x3, 128"] == words["3x3, 256"] == words["3x3, 512"] == 1
    assert words["6 classes"] == words["global mean"] == words["dense, softmax"] == 1
    assert sum("relu(W x + F(x))" in text for text in words) == sum("relu(x + F(x))" in text for text in words) == 1
    assert png(figure).startswith(b"\x89PNG")


def test_a_narrow_network_has_the_same_words_in_lines():
    model = network(V1)
    wide, narrow = draw_network(model), draw_network(model, width=4.5)
    assert texts(narrow) == texts(wide)
    assert narrow.get_size_inches()[0] < 5 < wide.get_size_inches()[0]
    assert narrow.get_size_inches()[1] > wide.get_size_inches()[1]
    names = ("input", "stem", "conv2", "conv3", "head")
    assert len({y for name in names for _, y in places(wide, name)}) == 1
    heights = [y for name in names for _, y in places(narrow, name)]
    assert len(set(heights)) > 1
    assert heights == sorted(heights, reverse=True)


@pytest.mark.parametrize(
    ("build", "options"),
    [
        (network, {"conventions": V1_5, "stem": "cifar", "head": "mlp"}),
        (network, {"normalization": "caffe"}),
        (ResNet50, {"include_top": False, "pooling": "max"}),
    ],
    ids=["small-mlp", "caffe", "pooled"],
)
def test_every_variant_can_be_drawn(build, options):
    assert png(draw_network(build(**options))).startswith(b"\x89PNG")


def test_the_head_may_be_missing_or_have_hidden_layers():
    assert texts(draw_network(ResNet50((64, 64, 3), include_top=False)))["head"] == 0
    words = texts(draw_network(network(head="mlp")))
    assert words["dense, relu"] == 2
    assert words["512"] == words["128"] == words["3 classes"] == 1


def test_a_model_that_shares_layers_with_another_is_drawn_as_itself():
    model = network(V1)
    image = keras.Input((64, 96, 3))
    model(image)
    tap = keras.Model(model.input, model.get_layer("conv3_block1_out").output)
    assert texts(draw_network(tap))["12"] == 0
    assert texts(draw_block(tap, "conv3_block1")) == texts(draw_block(model, "conv3_block1"))


def test_the_input_of_a_model_is_that_of_its_only_block_whatever_its_name():
    inputs = keras.Input((8, 8, 16), name="only_input")
    model = keras.Model(inputs, identity_block(inputs, (4, 4, 16), name="only"))
    assert texts(draw_block(model, "only"))["relu(x + F(x))"] == 1


def test_an_unknown_block_is_refused_with_those_there_are():
    with raises(ValueError, "'conv9_block1'", "conv2_block1", "conv2_block2", "conv3_block1"):
        draw_block(network(), "conv9_block1")
    with raises(ValueError, "'conv9_block1'", "conv2_block1"):
        draw_conventions({"v1": network()}, "conv9_block1", title="T")


def test_a_model_without_blocks_is_refused():
    inputs = keras.Input((8, 8, 3))
    plain = keras.Model(inputs, keras.layers.Conv2D(2, 3)(inputs), name="plain")
    with raises(ValueError, "plain"):
        draw_network(plain)
    with raises(ValueError, "plain"):
        draw_block(plain, "conv2_block1")


def test_a_model_without_a_graph_is_refused():
    class Subclassed(keras.Model):
        pass

    with raises(ValueError, "Subclassed"):
        draw_network(Subclassed())
