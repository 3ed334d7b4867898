"""Tables of the network's cost and variants, against numbers written out here."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from factories import tiny_model
from generators import network
from resnet50.model import ResNet50

ROOT = Path(__file__).resolve().parents[2]


def cells(table: str) -> list[list[str]]:
    """The cells of a Markdown table, without its second line; the multiplication sign is an x here."""
    first, _, *others = table.replace("\N{MULTIPLICATION SIGN}", "x").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in (first, *others)]


def html_cells(table: str) -> dict[str, list[str]]:
    """The texts of each row of an HTML table, by its first."""
    rows = [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row) for row in re.findall("<tr.*?>(.*?)</tr>", table)]
    return {first: others for first, *others in rows}


@pytest.fixture(scope="module")
def fragments():
    return network.network_fragments(ROOT)


@pytest.mark.slow
def test_table_1_has_the_sizes_of_the_paper_and_the_totals_of_keras(fragments):
    rows = html_cells(fragments["stages.html"])
    assert list(rows)[1:-1] == ["conv1", "pool1", "conv2", "conv3", "conv4", "conv5", "avg_pool", "predictions"]
    assert rows["conv1"][:3] == ["7&times;7, 64, stride 2", "112 &times; 112 &times; 64", "32 &times; 32 &times; 64"]
    assert rows["conv4"][1:3] == ["14 &times; 14 &times; 1024", "4 &times; 4 &times; 1024"]
    assert "1&times;1, 512<br>3&times;3, 512<br>1&times;1, 2048" in rows["conv5"][0]
    assert rows["conv5"][0].endswith("&times; 3")
    assert rows["sum"] == ["25,636,712", "3,858", "317"]


@pytest.mark.slow
def test_bars_are_shares_of_the_sum(fragments):
    shares = [float(share) for share in re.findall(r"--share: ([\d.]+)%", fragments["stages.html"])]
    for column in range(3):
        assert sum(shares[column::3]) == pytest.approx(100, abs=0.5)


@pytest.mark.slow
def test_columns_have_the_parameters_of_keras_and_the_cost_of_the_paper(fragments):
    _, eighteen, most_basic, fifty, hundred, most = cells(fragments["depths.md"])
    assert fifty[3:5] == ["25,636,712", "3,857,973,248"]
    assert hundred[1:4] == ["1, 3, 1", "3, 4, 23, 3", "44,707,176"]
    assert most[1:4] == ["1, 3, 1", "3, 8, 36, 3", "60,419,944"]
    # torchvision's parameters, the moving statistics (4,800 and 8,512 channels, twice) and as many biases
    assert eighteen[1:4] == ["3, 3", "2, 2, 2, 2", f"{11_689_512 + 3 * 4_800:,}"]
    assert most_basic[1:4] == ["3, 3", "3, 4, 6, 3", f"{21_797_672 + 3 * 8_512:,}"]
    for row, paper in ((eighteen, 1.8), (hundred, 7.6), (most, 11.3)):
        assert round(int(row[4].replace(",", "")) / 1e9, 1) == paper
        assert row[5] == f"{paper} billion"
    assert round(int(most_basic[4].replace(",", "")) / 1e9, 2) == 3.66  # 3.6 in the paper


@pytest.mark.slow
def test_v1_5_has_no_biases_and_costs_more(fragments):
    _, v1, v15 = cells(fragments["conventions_cost.md"])
    assert v1[1:] == ["25,583,592", "53,120", "3,857,973,248"]
    assert v15[1:] == ["25,557,032", "53,120", "4,089,184,256"]


def test_parameters_by_kind_add_up():
    model = ResNet50((32, 32, 3), classes=6)
    header, *kinds, total = cells(network.parameters_table([model]))
    assert header == ["", "6 classes"]
    assert [value for _, value in kinds] == ["23,454,912", "26,560", "53,120", "53,120", "12,294"]
    assert total[1] == "**23,600,006**"


def test_layers_of_a_block_with_their_weights():
    model = tiny_model(size=(32, 48), seed=None)
    header, *rows = cells(network.block_layers_table(model, "conv3_block1"))
    names = [row[0] for row in rows]
    assert len(header) == len(rows[0]) == 4
    assert len(names) == 12
    assert rows[names.index("`conv3_block1_2_conv`")][1:] == ["Conv2D", "4 x 6 x 7", "kernel: 3 x 3 x 5 x 7, bias: 7"]
    assert rows[names.index("`conv3_block1_3_bn`")][3] == "gamma, beta, moving_mean, moving_variance: 24 each"
    assert rows[names.index("`conv3_block1_add`")][1:] == ["Add", "4 x 6 x 24", ""]


def test_every_field_of_the_conventions_has_its_values_and_its_meaning():
    rows = {row[0]: row[1:] for row in cells(network.conventions_table())[1:]}
    assert list(rows) == [
        f"`{name}`"
        for name in (
            "name", "use_bias", "epsilon", "stride_on_kernel", "momentum", "last_gamma", "kernel_initializer",
            "stochastic_depth",
        )
    ]  # fmt: skip
    assert rows["`stride_on_kernel`"][:3] == ["`False`", "`True`", "not changed"]
    assert rows["`momentum`"][:3] == ["`0.99`", "`0.9`", "`0.9`"]
    assert rows["`last_gamma`"][:3] == ["`ones`", "`ones`", "`zeros`"]
    assert all(len(row[3]) > 10 for row in rows.values())
    assert "arXiv:1706.02677" in rows["`last_gamma`"][3]  # the last line of its description


def test_published_weights_by_variant():
    v1, v15 = network.published_list().splitlines()
    assert v1.startswith("- **v1**")
    assert "`caffe`: `imagenet`, `imagenet-notop`, `keras/resnet101.imagenet`" in v1
    assert v15.startswith("- **v1.5**")
    assert "`torch`" in v15
    assert "`timm/a1_in1k`" in v15


def test_measured_differences_come_from_their_file(tmp_path):
    path = tmp_path / "conventions.json"
    path.write_text(json.dumps({"relative_difference": {"epsilon": 0.0000123456, "caffe": 481.6}}))
    assert cells(network.wrong_conventions_table(path))[1:] == [["epsilon", "1.2e-05"], ["caffe", "481.60"]]


def test_published_weights_have_a_row_each():
    lines = network.published_table().splitlines()
    assert lines[0] == "| `weights=` | top-1 | license | network |"
    assert "| `imagenet` | 74.9 % at 224 | MIT | ResNet-50 v1 |" in lines
    assert "| `timm/a1_in1k` | 81.214 % at 288 | Apache-2.0 | ResNet-50 v1.5 |" in lines
    assert "| `timm/resnet18.a1_in1k` | 73.158 % at 288 | Apache-2.0 | ResNet-18 v1.5 |" in lines
    assert "| `microsoft/resnet-50` | not published | Apache-2.0 | ResNet-50 v1.5 |" in lines
    assert sum("not for commercial use" in line for line in lines) == 3
    assert len(lines) == 2 + 53
