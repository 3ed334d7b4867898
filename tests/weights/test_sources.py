from __future__ import annotations

import hashlib
import re
import subprocess
import sys

import pytest

from factories import raises
from resnet50.weights.normalization import NORMALIZATIONS
from resnet50.weights.sources import SOURCES, find_source, imagenet_classes

# name: top-1 and the size it was measured at, crop, interpolation, licence, first digits of the hash
PUBLISHED = {
    "imagenet": (74.9, 224, None, None, "MIT", "2cb95161"),
    "imagenet-notop": (None, None, None, None, "MIT", "4d473c1d"),
    "torchvision/imagenet1k_v1": (76.13, 224, 0.875, "bilinear", "BSD-3-Clause", "0676ba61"),
    "torchvision/imagenet1k_v2": (80.858, 224, 0.9655, "bilinear", "BSD-3-Clause", "11ad3fa6"),
    "timm/a1_in1k": (81.214, 288, 1.0, "bicubic", "Apache-2.0", "773525d5"),
    "timm/a2_in1k": (80.772, 288, 1.0, "bicubic", "Apache-2.0", "f531f9ac"),
    "timm/a3_in1k": (78.048, 224, 0.95, "bicubic", "Apache-2.0", None),
    "timm/b1k_in1k": (80.706, 288, 1.0, "bicubic", "Apache-2.0", "cd64707e"),
    "timm/c1_in1k": (80.912, 288, 1.0, "bicubic", "Apache-2.0", None),
    "timm/c2_in1k": (80.87, 288, 1.0, "bicubic", "Apache-2.0", None),
    "timm/d_in1k": (80.972, 288, 1.0, "bicubic", "Apache-2.0", "d8ed2918"),
    "timm/ram_in1k": (79.976, 288, 0.95, "bicubic", "Apache-2.0", None),
    "timm/tv_in1k": (76.13, 224, 0.875, "bilinear", "BSD-3-Clause", "5d061a3c"),
    "timm/tv2_in1k": (80.85, 224, 0.965, "bilinear", "BSD-3-Clause", None),
    "timm/fb_swsl_ig1b_ft_in1k": (81.182, 224, 0.875, "bilinear", "CC-BY-NC-4.0", None),
    "microsoft/resnet-50": (None, None, 0.875, "bicubic", "Apache-2.0", "9c6061af"),
}


def test_the_rows_say_what_was_published():
    assert list(SOURCES) == list(PUBLISHED)
    for name, source in SOURCES.items():
        top1, side, crop, interpolation, licence, digits = PUBLISHED[name]
        assert (source.name, source.top1, source.top1_side) == (name, top1, side)
        assert source.crop == pytest.approx(crop, abs=1e-4) if crop else source.crop is None
        assert (source.interpolation, source.licence) == (interpolation, licence)
        known = source.download.md5 if source.publisher == "keras" else source.download.sha256_start
        assert known is None if digits is None else known.startswith(digits)
        assert len(known or "") in (0, 32, 64)
        assert source.download.sha256_from_server == (digits is None)
        if side is not None:
            assert source.side == side


def test_exact_addresses():
    urls = {name: source.download.urls for name, source in SOURCES.items()}
    base = "https://storage.googleapis.com/tensorflow/keras-applications/resnet/resnet50_weights_tf_dim_ordering_tf_"
    assert urls["imagenet"] == (base + "kernels.h5",)
    assert urls["imagenet-notop"] == (base + "kernels_notop.h5",)
    assert urls["torchvision/imagenet1k_v1"] == ("https://download.pytorch.org/models/resnet50-0676ba61.pth",)
    assert urls["torchvision/imagenet1k_v2"] == ("https://download.pytorch.org/models/resnet50-11ad3fa6.pth",)
    hub = "https://huggingface.co/{}/resolve/main/model.safetensors"
    assert urls["microsoft/resnet-50"] == (hub.format("microsoft/resnet-50"),)
    for name in PUBLISHED:
        if name.startswith("timm/"):
            assert urls[name] == (hub.format("timm/resnet50." + name.removeprefix("timm/")),)


def test_only_the_weights_of_instagram_are_not_commercial():
    assert [name for name, source in SOURCES.items() if not source.commercial] == ["timm/fb_swsl_ig1b_ft_in1k"]
    assert [name for name, source in SOURCES.items() if "NC" in source.licence] == ["timm/fb_swsl_ig1b_ft_in1k"]


def test_conventions_pixels_and_classes():
    for name, source in SOURCES.items():
        keras = name in ("imagenet", "imagenet-notop")
        assert (source.conventions, source.normalization) == (("v1", "caffe") if keras else ("v1.5", "torch"))
        assert source.normalization in NORMALIZATIONS
        assert source.classes == (0 if name == "imagenet-notop" else 1000)
        assert source.publisher == ("keras" if keras else name.partition("/")[0])


def test_no_two_files_have_one_name():
    names = [source.download.name for source in SOURCES.values()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"resnet-?50[\w.-]*\.(h5|pth|safetensors)", name) for name in names)


def test_sizes_are_those_of_the_files_at_hand():
    sizes = {name: source.download.size for name, source in SOURCES.items() if source.download.size}
    assert sizes == {
        "imagenet": 102967424,
        "imagenet-notop": 94765736,
        "torchvision/imagenet1k_v1": 102530333,
        "torchvision/imagenet1k_v2": 102540417,
        "timm/a1_in1k": 102469840,
        "timm/tv_in1k": 102469840,
    }


def test_a_row_is_found_by_its_name():
    assert find_source("timm/d_in1k").download.name == "resnet50.d_in1k.safetensors"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("a1_in1k", ["timm/a1_in1k"]),
        ("timm/resnet50.a1_in1k", ["timm/a1_in1k"]),
        ("resnet-50", ["microsoft/resnet-50"]),
        ("imagenett", ["imagenet", "imagenet-notop"]),
        ("torchvision/imagenet1k_v3", ["torchvision/imagenet1k_v1", "torchvision/imagenet1k_v2"]),
        ("", list(PUBLISHED)),
        ("weights", list(PUBLISHED)),
    ],
)
def test_an_unknown_name_gets_near_ones(name, near):
    with raises(ValueError, repr(name)) as caught:
        find_source(name)
    told = [word for word in re.findall(r"[\w./-]+", str(caught.value).replace(repr(name), "")) if word in SOURCES]
    assert sorted(told[: len(near)]) == sorted(near)  # the nearest first


def test_classes_of_imagenet():
    names = imagenet_classes()
    assert len(names) == 1000
    known = {
        0: "tench",
        1: "goldfish",
        134: "crane",
        207: "golden_retriever",
        281: "tabby",
        340: "zebra",
        386: "African_elephant",
    }
    known |= {504: "coffee_mug", 517: "crane", 817: "sports_car", 954: "banana", 999: "toilet_tissue"}
    assert {index: names[index] for index in known} == known
    # Keras' list of numbers, WordNet ids and names has the MD5 c2c37ea517e94d9795004a39431a14cb; these are its names
    assert hashlib.md5("\n".join(names).encode()).hexdigest() == "d0a1729e12e589cbc3c28761a2bcefae"  # noqa: S324
    assert len(set(names)) == 998  # crane and maillot stand for two each
    assert all(re.fullmatch(r"[\w'.-]+", name) for name in names)


def test_the_registry_needs_no_keras():
    script = (
        "import sys, resnet50.weights.fetch; sys.exit(any(name in sys.modules for name in ('keras', 'numpy', 'h5py')))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
