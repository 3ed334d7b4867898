from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import subprocess
import sys

import keras
import numpy as np
import pytest

from resnet50 import model as model_module
from resnet50.download import Download, DownloadError
from resnet50.model import build_resnet50
from resnet50.weights import fetch as fetch_module
from resnet50.weights import sources

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path


@pytest.fixture
def small(monkeypatch):
    """Let three rows have small files."""
    rows = dict(sources.SOURCES)
    for name in ("timm/d_in1k", "timm/a1_in1k", "timm/fb_swsl_ig1b_ft_in1k"):
        download = rows[name].download
        download = Download(download.name, download.urls, 2**20, sha256_start=SHA256)
        rows[name] = dataclasses.replace(rows[name], download=download)
    monkeypatch.setattr(sources, "SOURCES", rows)


def put(caches, name, content=CONTENT):
    path = caches / "cache" / "weights" / "timm" / f"resnet50.{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_list(command, caches):
    put(caches, "d_in1k")
    status, out, err = command("weights", "list")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["name", "top-1", "licence", "network", "cached"]
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:17]}
    assert rows["imagenet"] == ["74.9", "%", "at", "224", "MIT", "v1"]
    assert rows["imagenet-notop"] == ["MIT", "v1"]
    assert rows["timm/d_in1k"] == ["80.972", "%", "at", "288", "Apache-2.0", "v1.5", "yes"]
    assert rows["timm/fb_swsl_ig1b_ft_in1k"] == ["81.182", "%", "at", "224", "CC-BY-NC-4.0", "*", "v1.5"]
    assert lines[17:] == [
        "",
        "top-1: the publishers' figures, on ImageNet's validation pictures of that size.",
        "* not for commercial use",
    ]
    assert max(map(len, lines)) <= 80


def test_the_list_as_json(command, caches):
    path = put(caches, "d_in1k")
    status, out, err = command("weights", "list", "--json")
    assert (status, err) == (0, "")
    rows = {row["name"]: row for row in json.loads(out)}
    assert len(rows) == 16
    row = rows["timm/d_in1k"]
    assert (row["path"], row["cached"], row["top1"], row["top1_side"]) == (str(path), True, 80.972, 288)
    assert row["download"]["urls"] == ["https://huggingface.co/timm/resnet50.d_in1k/resolve/main/model.safetensors"]
    assert rows["timm/fb_swsl_ig1b_ft_in1k"]["commercial"] is False
    assert rows["imagenet"]["cached"] is False


def test_a_row_is_shown(command, caches):
    status, out, err = command("weights", "show", "timm/fb_swsl_ig1b_ft_in1k")
    assert (status, err) == (0, "")
    facts = dict(line.split(maxsplit=1) for line in out.splitlines() if line and not line.startswith("checked by"))
    assert facts["address"] == (
        "https://huggingface.co/timm/resnet50.fb_swsl_ig1b_ft_in1k/resolve/main/model.safetensors"
    )
    assert facts["licence"] == "CC-BY-NC-4.0, not for commercial use"
    assert facts["size"] == "not published"
    assert facts["tested"] == "at     224 x 224 pixels, cut from a picture whose shorter side is 256, bilinear"
    assert facts["top-1"] == "81.182 % at 224 (the publisher's figure)"
    assert facts["file"] == f"{caches}/cache/weights/timm/resnet50.fb_swsl_ig1b_ft_in1k.safetensors"
    assert "\nchecked by    the SHA-256 that the server states\n" in out
    assert out.endswith("\nnot in the cache: resnet50 weights fetch timm/fb_swsl_ig1b_ft_in1k\n")


def test_a_row_without_a_figure_or_a_classifier(command):
    out = command("weights", "show", "imagenet-notop")[1]
    assert "\ntop-1         not published\n" in out
    assert "\nclasses       none: it holds no classifier\n" in out
    assert "\nchecked by    MD5 4d473c1dd8becc155b73f8504c6f6626\n" in out
    assert "\nsize          94,765,736 bytes\n" in out
    assert "\ntested at     224 x 224 pixels\n" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "timm/a9_in1k"], "needed a name of published weights, such as timm/a"),
        (
            ["show", "nowhere/a.pth"],
            "nowhere/a.pth: needed a file of weights, or a name of published ones, found nothing",
        ),
        (["show", "folder.h5"], "folder.h5: needed a file of weights, or a name of published ones, found a folder."),
        (["fetch", "timm/d_in1k", "imagenettt"], "needed a name of published weights, such as imagenet"),
        (["verify", "imagenettt"], "needed a name of published weights, such as imagenet"),
        (["verify", "nowhere.keras"], "nowhere.keras: needed a file of weights, or a name of published ones, found no"),
    ],
)
def test_what_is_neither_name_nor_file(command, caches, monkeypatch, words, message):
    (caches / "folder.h5").mkdir()
    monkeypatch.setattr(fetch_module, "fetch", lambda *_, **__: pytest.fail("something was fetched"))
    status, out, err = command("weights", *words)
    assert (status, out) == (2, "")
    assert err.startswith(f"resnet50 weights: {message}")
    assert err.count("\n") == 1


def test_fetching_says_where_the_files_are(command, caches, monkeypatch):
    asked = []

    def fetch(download, folder, *, progress):
        progress(1, None)
        progress(1, 2)
        asked.append(download.name)
        return folder / download.name

    monkeypatch.setattr(fetch_module, "fetch", fetch)
    status, out, err = command("weights", "fetch", "imagenet", "timm/fb_swsl_ig1b_ft_in1k")
    assert status == 0
    assert out.splitlines() == [
        f"{caches}/keras/models/resnet50_weights_tf_dim_ordering_tf_kernels.h5",
        f"{caches}/cache/weights/timm/resnet50.fb_swsl_ig1b_ft_in1k.safetensors",
    ]
    assert err == "timm/fb_swsl_ig1b_ft_in1k: CC-BY-NC-4.0, not for commercial use\n"
    assert asked == ["resnet50_weights_tf_dim_ordering_tf_kernels.h5", "resnet50.fb_swsl_ig1b_ft_in1k.safetensors"]


def test_a_failed_download_is_one_line(command, monkeypatch):
    def fetch(*_, **__):
        raise DownloadError("a.pth could not be fetched.\nAt all.")

    monkeypatch.setattr(fetch_module, "fetch", fetch)
    assert command("weights", "fetch", "imagenet") == (2, "", "resnet50 weights: a.pth could not be fetched. At all.\n")


def test_nothing_to_verify(command):
    assert command("weights", "verify") == (0, "no published weights are in the cache\n", "")


@pytest.mark.usefixtures("small")
def test_all_that_is_cached_is_verified(command, caches):
    good, bad = put(caches, "a1_in1k"), put(caches, "d_in1k", CONTENT[::-1])
    status, out, err = command("weights", "verify")
    assert (status, err) == (2, "")
    right, wrong = out.splitlines()
    assert right == f"timm/a1_in1k ({good}): right"
    assert wrong.startswith(f"timm/d_in1k ({bad}): WRONG, a file of 10240 bytes with sha256 ")
    bad.write_bytes(CONTENT)
    assert command("weights", "verify")[0] == 0
    assert command("weights", "verify", "timm/a1_in1k")[:2] == (0, f"timm/a1_in1k ({good}): right\n")


@pytest.mark.usefixtures("small")
def test_a_named_file_that_is_not_there_is_wrong(command):
    status, out, _ = command("weights", "verify", "timm/a1_in1k")
    assert status == 2
    assert out.endswith("resnet50.a1_in1k.safetensors): not there\n")


@pytest.mark.usefixtures("small")
def test_files_anywhere_are_verified(command, caches):
    (caches / "resnet50.a1_in1k.safetensors").write_bytes(CONTENT)
    (caches / "mine.pth").write_bytes(CONTENT)
    (caches / "other.pth").write_bytes(b"other")
    (caches / "resnet50.c1_in1k.safetensors").write_bytes(CONTENT)  # published without a hash
    files = ("resnet50.a1_in1k.safetensors", "mine.pth", "other.pth", "resnet50.c1_in1k.safetensors")
    status, out, _ = command("weights", "verify", *files)
    assert status == 2
    assert out.splitlines() == [
        "timm/a1_in1k (resnet50.a1_in1k.safetensors): right",
        "timm/a1_in1k (mine.pth): right",
        "other.pth: unknown, no published weights have its hash",
        "timm/c1_in1k (resnet50.c1_in1k.safetensors): WRONG, a file of 10240 bytes and no SHA-256 to check it by",
    ]
    (caches / "resnet50.c1_in1k.safetensors.sha256").write_text(f"{SHA256}  resnet50.c1_in1k.safetensors\n")
    assert command("weights", "verify", files[3])[0] == 0


@pytest.mark.usefixtures("small")
def test_a_damaged_file_is_not_read(command, caches):
    put(caches, "a1_in1k", b"damaged")
    status, out, err = command("weights", "show", "timm/a1_in1k")
    assert (status, err) == (2, "")
    assert out.splitlines()[-1].startswith("in the cache, but WRONG: a file of 7 bytes with sha256 ")


@pytest.fixture
def tiny_file(tiny_stages, random_weights, caches, monkeypatch):
    """A file of a tiny network with three classes; ``show`` builds tiny networks, too."""
    monkeypatch.setattr(model_module, "build_resnet50", functools.partial(build_resnet50, stages=tiny_stages))
    keras.utils.clear_session()
    model = random_weights(build_resnet50(3, input_shape=(32, 32, 3), stages=tiny_stages))
    model.save_weights(caches / "mine.weights.h5")
    return "mine.weights.h5"


def test_a_file_is_shown_and_tried(command, tiny_file):
    status, out, err = command("weights", "show", tiny_file)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("mine.weights.h5: layout keras, ")
    assert lines[1] == "network v1, normalization unknown"
    assert lines[3] == "into a network of 3 classes:"
    assert lines[4].startswith("mine.weights.h5 (keras layout): ")
    assert ", 0 kept as they were, 0 parts of the file not used" in lines[4]


def test_a_file_for_other_channels_is_tried_on_such_a_network(command, tiny_stages, random_weights, tiny_file, caches):
    model = random_weights(build_resnet50(4, input_shape=(32, 32, 5), stages=tiny_stages, adapt_stem=True))
    model.save_weights(caches / "five.weights.h5")
    status, out, err = command("weights", "show", "five.weights.h5")
    assert (status, err) == (0, "")
    assert ", 0 kept as they were, 0 parts of the file not used" in out
    assert "note" not in out


def test_a_file_is_tried_on_other_classes(command, tiny_file):
    status, out, err = command("weights", "show", tiny_file, "--classes", 5)
    assert (status, err) == (0, "")
    assert "\ninto a network of 5 classes:\n" in out
    assert "\n  kept:     predictions: 3 classes in the file, 5 in the model\n" in out
    assert command("weights", "show", tiny_file, "--classes", 0)[0] == 2


@pytest.mark.parametrize(
    "words", [["--help"], ["list"], ["list", "--json"], ["verify"], ["fetch", "timm/a1_in1k"], ["show", "imagenet"]]
)
def test_what_needs_no_network_of_layers_loads_no_keras(caches, words):
    script = f"""
import sys
from resnet50.cli import main
from resnet50.weights import fetch, sources
fetch.fetch = lambda download, folder, progress: folder / download.name
try:
    main(["weights", *{words!r}])
except SystemExit as stop:
    loaded = [name for name in ("keras", "tensorflow", "h5py", "numpy") if name in sys.modules]
    sys.exit(f"loaded {{loaded}}" if loaded else stop.code)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=caches)
    assert (done.returncode, done.stderr) == (0, "")
    assert np.count_nonzero([line.strip() for line in done.stdout.splitlines()])
