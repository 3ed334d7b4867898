import keras
import pytest
from keras import layers

from factories import tiny_model
from resnet50.blocks import V1, V1_5
from resnet50.evaluation.complexity import stage_costs
from resnet50.model import ResNet50


def macs_by_hand(side, classes, stride_on_kernel):
    """Multiply-accumulates of the paper's 50-layer network, layer by layer."""
    side //= 2
    stages = {"conv1": side**2 * 7 * 7 * 3 * 64}
    side, channels = side // 2, 64
    for name, blocks, width, stride in (
        ("conv2", 3, 64, 1),
        ("conv3", 4, 128, 2),
        ("conv4", 6, 256, 2),
        ("conv5", 3, 512, 2),
    ):
        total = 0
        for block in range(blocks):
            before, side = side, side // stride if block == 0 else side
            first = before if stride_on_kernel else side  # where the first 1x1 works
            total += first**2 * channels * width + side**2 * (9 * width * width + width * 4 * width)
            if block == 0:
                total += side**2 * channels * 4 * width
            channels = 4 * width
        stages[name] = total
    return stages | {"predictions": 2048 * classes}


@pytest.mark.parametrize(
    ("conventions", "giga", "exact"),
    [(V1, 3.86, None), (V1_5, 4.09, 4_089_184_256)],  # the exact one: half of what PyTorch's FlopCounterMode counts
)
def test_the_full_network_costs_what_is_published(conventions, giga, exact):
    model = ResNet50((224, 224, 3), 1000, conventions=conventions)
    costs = {cost.name: cost for cost in stage_costs(model)}
    by_hand = macs_by_hand(224, 1000, conventions.stride_on_kernel)
    assert {name: cost.macs for name, cost in costs.items() if cost.macs} == by_hand
    total = sum(cost.macs for cost in costs.values())
    assert round(total / 1e9, 2) == giga
    assert exact is None or total == exact
    assert sum(cost.parameters for cost in costs.values()) == model.count_params()
    assert sum(cost.layers for cost in costs.values()) == len(model.layers) - 1  # all but the input
    assert {name: cost.output for name, cost in costs.items()} == {
        "conv1": (112, 112, 64),
        "pool1": (56, 56, 64),
        "conv2": (56, 56, 256),
        "conv3": (28, 28, 512),
        "conv4": (14, 14, 1024),
        "conv5": (7, 7, 2048),
        "avg_pool": (2048,),
        "predictions": (1000,),
    }


def test_a_side_of_any_size_costs_what_cannot_be_told():
    costs = stage_costs(tiny_model(6, size=(None, 64), seed=None))
    by_name = {cost.name: cost for cost in costs}
    assert by_name["conv3"].output == (None, 8, 24)
    assert [name for name, cost in by_name.items() if cost.macs] == ["predictions"]
    assert by_name["conv3"].parameters > 0


def test_heads_and_stages_of_ones_own_are_counted():
    model = tiny_model(5, size=(32, 64), seed=None, head="mlp")
    costs = stage_costs(model)
    assert [cost.name for cost in costs if cost.name != "rescaling"][-6:] == [
        "pool1",
        "conv2",
        "conv3",
        "avg_pool",
        "head",
        "predictions",
    ]
    assert sum(cost.parameters for cost in costs) == model.count_params()
    assert {cost.name: cost.macs for cost in costs}["head"] == 24 * 512 + 512 * 128


def test_grouped_and_spatial_layers_are_counted_per_place():
    inputs = keras.Input((6, 10, 8))
    x = layers.Conv2D(4, 3, padding="same", groups=2, name="conv1_conv")(inputs)
    model = keras.Model(inputs, layers.Dense(5, name="dense")(x))
    assert [(cost.name, cost.macs) for cost in stage_costs(model)] == [
        ("conv1", 6 * 10 * 4 * 9 * 4),  # each of the 4 filters sees half of the 8 channels
        ("dense", 6 * 10 * 4 * 5),
    ]
