import keras
import pytest
from keras import layers

from factories import classifier, raises, tiny_model
from resnet50.conventions import V1, V1_5
from resnet50.metrics.complexity import summary
from resnet50.model import ResNet50


def macs_by_hand(image_size, classes, stride_on_kernel):
    """Multiply-accumulates of the paper's 50-layer network, layer by layer."""
    image_size //= 2
    stages = {"conv1": image_size**2 * 7 * 7 * 3 * 64}
    image_size, channels = image_size // 2, 64
    for name, blocks, width, stride in (
        ("conv2", 3, 64, 1),
        ("conv3", 4, 128, 2),
        ("conv4", 6, 256, 2),
        ("conv5", 3, 512, 2),
    ):
        total = 0
        for block in range(blocks):
            before, image_size = image_size, image_size // stride if block == 0 else image_size
            first = before if stride_on_kernel else image_size  # the size at which the first 1x1 computes
            total += first**2 * channels * width + image_size**2 * (9 * width * width + width * 4 * width)
            if block == 0:
                total += image_size**2 * channels * 4 * width
            channels = 4 * width
        stages[name] = total
    return stages | {"predictions": 2048 * classes}


@pytest.mark.parametrize(
    ("conventions", "giga", "exact"),
    [(V1, 3.86, None), (V1_5, 4.09, 4_089_184_256)],  # the exact one: half of what PyTorch's FlopCounterMode counts
)
def test_the_full_network_costs_what_is_published(conventions, giga, exact):
    model = ResNet50((224, 224, 3), 1000, conventions=conventions)
    table = summary(model)
    costs = {cost.name: cost for cost in table.stages}
    by_hand = macs_by_hand(224, 1000, conventions.stride_on_kernel)
    assert {name: cost.macs for name, cost in costs.items() if cost.macs} == by_hand
    assert table.macs == sum(cost.macs for cost in costs.values())
    assert round(table.macs / 1e9, 2) == giga
    assert exact is None or table.macs == exact
    assert table.parameters == sum(cost.parameters for cost in costs.values()) == model.count_params()
    assert table.layers == sum(cost.layers for cost in costs.values()) == len(model.layers) - 1  # all but the input
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


def test_macs_are_unknown_for_images_of_any_size():
    table = summary(tiny_model(6, size=(None, 64), seed=None))
    by_name = {cost.name: cost for cost in table.stages}
    assert by_name["conv3"].output == (None, 8, 24)
    assert [name for name, cost in by_name.items() if cost.macs] == ["predictions"]
    assert by_name["conv3"].parameters > 0
    (row,) = (line for line in str(table).splitlines() if line.startswith("conv3"))
    assert "any x 8 x 24" in row


def test_custom_heads_and_stages_are_counted():
    model = tiny_model(5, size=(32, 64), seed=None, head="mlp")
    costs = summary(model).stages
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


def test_grouped_and_spatial_layers_are_counted_per_position():
    inputs = keras.Input((6, 10, 8))
    x = layers.Conv2D(4, 3, padding="same", groups=2, name="conv1_conv")(inputs)
    model = keras.Model(inputs, layers.Dense(5, name="dense")(x))
    assert [(cost.name, cost.macs) for cost in summary(model).stages] == [
        ("conv1", 6 * 10 * 4 * 9 * 4),  # each of the 4 filters sees half of the 8 channels
        ("dense", 6 * 10 * 4 * 5),
    ]


def test_the_table_has_a_row_for_each_stage_and_the_totals():
    table = summary(image_size=96, classes=10)
    header, *rows = [line.split() for line in str(table).splitlines()]
    assert header == ["stage", "layers", "output", "parameters", "MACs"]
    assert [row[0] for row in rows] == [*(stage.name for stage in table.stages), "total"]
    assert ["conv4", "62", "6", "x", "6", "x", "1024", "7,129,088", "254,803,968"] in rows
    assert rows[-1][1:3] == ["177", "23,608,202"]
    assert len({len(line) for line in str(table).splitlines()}) == 1


def test_a_classifier_and_its_file_have_the_cost_of_their_model(tmp_path):
    trained = classifier(tiny_model(3, seed=None))
    trained.save(tmp_path / "a.keras")
    expected = summary(trained.model)
    assert summary(trained) == expected
    assert summary(tmp_path / "a.keras") == expected
    with raises(FileNotFoundError, tmp_path / "b.keras"):
        summary(tmp_path / "b.keras")
