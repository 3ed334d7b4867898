from __future__ import annotations

import hashlib
import re
import subprocess
import sys

import pytest

from factories import raises
from resnet50.weights.normalization import NORMALIZATIONS
from resnet50.weights.registry import REGISTRY, at_depth, find_published, imagenet_classes

# name: top-1 and the size it was measured at, crop, interpolation, license, first digits of the hash
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


RSB, RSB_A3 = (288, 1.0, "bicubic", "Apache-2.0"), (224, 0.95, "bicubic", "Apache-2.0")
GLUON, TV = (224, 0.875, "bicubic", "Apache-2.0"), (224, 0.875, "bilinear", "BSD-3-Clause")
TV2, FACEBOOK = (224, 0.965, "bilinear", "BSD-3-Clause"), (224, 0.875, "bilinear", "CC-BY-NC-4.0")
KERAS = (224, None, None, "MIT")
OTHER_DEPTHS = {
    "keras/resnet101.imagenet": (76.4, *KERAS, "f1aeb4b9"),
    "keras/resnet101.imagenet-notop": (None, None, None, None, "MIT", "88cf7a10"),
    "keras/resnet152.imagenet": (76.6, *KERAS, "100835be"),
    "keras/resnet152.imagenet-notop": (None, None, None, None, "MIT", "ee4c566c"),
    "torchvision/resnet18.imagenet1k_v1": (69.758, *TV, "f37072fd"),
    "torchvision/resnet34.imagenet1k_v1": (73.314, *TV, "b627a593"),
    "torchvision/resnet101.imagenet1k_v1": (77.374, *TV, "63fe2227"),
    "torchvision/resnet101.imagenet1k_v2": (81.886, 224, 0.9655, "bilinear", "BSD-3-Clause", "cd907fc2"),
    "torchvision/resnet152.imagenet1k_v1": (78.312, *TV, "394f9c45"),
    "torchvision/resnet152.imagenet1k_v2": (82.284, 224, 0.9655, "bilinear", "BSD-3-Clause", "f82ba261"),
    "timm/resnet18.a1_in1k": (73.158, *RSB, None),
    "timm/resnet18.a2_in1k": (72.372, *RSB, None),
    "timm/resnet18.a3_in1k": (68.254, *RSB_A3, None),
    "timm/resnet18.gluon_in1k": (70.838, *GLUON, None),
    "timm/resnet18.tv_in1k": (69.76, *TV, None),
    "timm/resnet18.fb_ssl_yfcc100m_ft_in1k": (72.594, *FACEBOOK, None),
    "timm/resnet18.fb_swsl_ig1b_ft_in1k": (73.282, *FACEBOOK, None),
    "timm/resnet34.a1_in1k": (77.918, *RSB, None),
    "timm/resnet34.a2_in1k": (77.158, *RSB, None),
    "timm/resnet34.a3_in1k": (72.97, *RSB_A3, None),
    "timm/resnet34.bt_in1k": (76.48, 288, 0.95, "bicubic", "Apache-2.0", None),
    "timm/resnet34.gluon_in1k": (74.578, *GLUON, None),
    "timm/resnet34.tv_in1k": (None, None, *TV[1:], None),
    "timm/resnet101.a1h_in1k": (82.778, *RSB, None),
    "timm/resnet101.a1_in1k": (82.322, *RSB, None),
    "timm/resnet101.a2_in1k": (82.236, *RSB, None),
    "timm/resnet101.a3_in1k": (79.814, *RSB_A3, None),
    "timm/resnet101.gluon_in1k": (79.31, *GLUON, None),
    "timm/resnet101.tv_in1k": (77.376, *TV, None),
    "timm/resnet101.tv2_in1k": (81.89, *TV2, None),
    "timm/resnet152.a1h_in1k": (83.45, *RSB, None),
    "timm/resnet152.a1_in1k": (82.732, *RSB, None),
    "timm/resnet152.a2_in1k": (82.608, *RSB, None),
    "timm/resnet152.a3_in1k": (80.546, *RSB_A3, None),
    "timm/resnet152.gluon_in1k": (79.694, *GLUON, None),
    "timm/resnet152.tv_in1k": (78.322, *TV, None),
    "timm/resnet152.tv2_in1k": (82.288, *TV2, None),
}


def test_the_rows_say_what_was_published():
    assert list(REGISTRY) == [*PUBLISHED, *OTHER_DEPTHS]
    for name, published in REGISTRY.items():
        top1, image_size, crop, interpolation, spdx, digits = (PUBLISHED | OTHER_DEPTHS)[name]
        assert (published.name, published.top1, published.top1_image_size) == (name, top1, image_size)
        assert published.crop == pytest.approx(crop, abs=1e-4) if crop else published.crop is None
        assert (published.interpolation, published.license) == (interpolation, spdx)
        known = published.download.md5 if published.publisher == "keras" else published.download.sha256
        assert known is None if digits is None else known.startswith(digits)
        assert len(known or "") in (0, 8, 32, 64)  # 8 are those in a file name of torchvision
        assert len(known or "") != 8 or known in published.download.name
        assert published.download.sha256_from_server == (digits is None)
        if image_size is not None:
            assert published.image_size == image_size


def test_exact_addresses():
    urls = {name: published.download.urls for name, published in REGISTRY.items()}
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
    for name in OTHER_DEPTHS:
        if name.startswith("timm/"):
            assert urls[name] == (hub.format(name),)
    assert urls["keras/resnet152.imagenet-notop"] == (base.replace("resnet50", "resnet152") + "kernels_notop.h5",)
    assert urls["torchvision/resnet34.imagenet1k_v1"] == ("https://download.pytorch.org/models/resnet34-b627a593.pth",)


def test_only_the_weights_of_facebook_are_not_commercial():
    facebook = ["timm/fb_swsl_ig1b_ft_in1k"]
    facebook += ["timm/resnet18.fb_ssl_yfcc100m_ft_in1k", "timm/resnet18.fb_swsl_ig1b_ft_in1k"]
    assert [name for name, published in REGISTRY.items() if not published.commercial] == facebook
    assert [name for name, published in REGISTRY.items() if "NC" in published.license] == facebook


@pytest.mark.parametrize(
    ("name", "depth", "expected"),
    [
        ("imagenet", 101, "keras/resnet101.imagenet"),
        ("imagenet-notop", 152, "keras/resnet152.imagenet-notop"),
        ("timm/tv_in1k", 18, "timm/resnet18.tv_in1k"),
        ("timm/resnet34.a1_in1k", 50, "timm/a1_in1k"),
        ("torchvision/imagenet1k_v2", 152, "torchvision/resnet152.imagenet1k_v2"),
        ("imagenet", 50, "imagenet"),
        ("imagenet", 18, "imagenet"),  # there are none
        ("microsoft/resnet-50", 101, "microsoft/resnet-50"),
        ("mine.h5", 101, "mine.h5"),
    ],
)
def test_the_same_training_of_another_depth(name, depth, expected):
    assert at_depth(name, depth) == expected


def test_conventions_pixels_and_classes():
    for name, published in REGISTRY.items():
        keras = "/" not in name or name.startswith("keras/")
        assert (published.conventions, published.normalization) == (("v1", "caffe") if keras else ("v1.5", "torch"))
        assert published.normalization in NORMALIZATIONS
        assert published.classes == (0 if name.endswith("imagenet-notop") else 1000)
        depth = re.search(r"/resnet(\d+)\.", name)
        assert published.depth == (int(depth[1]) if depth else 50)
        assert published.publisher == ("keras" if keras else name.partition("/")[0])


def test_no_two_files_have_one_name():
    names = [published.download.name for published in REGISTRY.values()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"resnet-?(18|34|50|101|152)[\w.-]*\.(h5|pth|safetensors)", name) for name in names)


def test_sizes_are_those_of_the_files():
    sizes = {name: published.download.size for name, published in REGISTRY.items() if published.download.size}
    assert sizes == {
        "imagenet": 102967424,
        "imagenet-notop": 94765736,
        "torchvision/imagenet1k_v1": 102530333,
        "torchvision/imagenet1k_v2": 102540417,
        "timm/a1_in1k": 102469840,
        "timm/tv_in1k": 102469840,
        "torchvision/resnet18.imagenet1k_v1": 46830571,
    }


def test_a_row_is_found_by_its_name():
    assert find_published("timm/d_in1k").download.name == "resnet50.d_in1k.safetensors"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("a1_in1k", ["timm/a1_in1k"]),
        ("timm/resnet50.a1_in1k", ["timm/a1_in1k"]),
        ("resnet-50", ["microsoft/resnet-50"]),
        ("imagenett", ["imagenet"]),
        ("torchvision/imagenet1k_v3", ["torchvision/imagenet1k_v2"]),
        ("", []),
        ("nowhere", []),
        ("weights", []),
    ],
)
def test_an_unknown_name_gets_the_nearest_or_where_names_are_listed(name, near):
    with raises(ValueError, repr(name), "resnet50 weights list") as caught:
        find_published(name)
    assert "\n" not in str(caught.value)
    words = re.findall(r"[\w./-]+", str(caught.value).replace(repr(name), ""))
    assert [word for word in words if word in REGISTRY] == near


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
