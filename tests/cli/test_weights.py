from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

from factories import TINY_STAGES, fill_random, tiny_model
from resnet50 import model as model_module
from resnet50._io.fetch import Download, DownloadError
from resnet50.build import build_resnet50
from resnet50.weights import fetch as fetch_module
from resnet50.weights import registry
from resnet50.weights.normalization import UNKNOWN

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NOT_COMMERCIAL = "timm/fb_swsl_ig1b_ft_in1k"


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path


@pytest.fixture
def small(monkeypatch):
    """Let three rows have small files."""
    for name in ("timm/d_in1k", "timm/a1_in1k", "timm/fb_swsl_ig1b_ft_in1k"):
        download = registry.REGISTRY[name].download
        download = Download(download.name, download.urls, 2**20, sha256=SHA256)
        row = dataclasses.replace(registry.REGISTRY[name], download=download)
        monkeypatch.setitem(registry.REGISTRY, name, row)


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
    assert lines[0].split() == ["name", "top-1", "@size", "license", "net", "cached"]
    end = lines.index("")
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:end]}
    assert len(rows) == end - 1 >= 53
    assert rows["imagenet"] == ["74.9", "@224", "MIT", "v1"]
    assert rows["imagenet-notop"] == ["MIT", "v1"]
    assert {"80.972", "@288", "Apache-2.0", "v1.5"} <= {*rows["timm/d_in1k"]}
    assert rows["timm/resnet18.tv_in1k"] == ["69.76", "@224", "BSD-3-Clause", "v1.5"]
    assert [name for name, row in rows.items() if not row[-1].startswith("v1")] == ["timm/d_in1k"]  # it is cached
    assert {"81.182", "@224", "CC-BY-NC-4.0", "*", "v1.5"} <= {*rows[NOT_COMMERCIAL]}
    assert "*" not in rows["timm/d_in1k"]
    assert [line[:1] for line in lines[end:]].count("*") == 1  # which says what it means
    assert max(map(len, lines)) <= 80


def test_the_list_as_json(command, caches):
    path = put(caches, "d_in1k")
    status, out, err = command("weights", "list", "--json")
    assert (status, err) == (0, "")
    rows = {row["name"]: row for row in json.loads(out)}
    assert len(rows) == 53
    assert rows["torchvision/resnet34.imagenet1k_v1"]["depth"] == 34
    row = rows["timm/d_in1k"]
    assert (row["path"], row["cached"], row["top1"], row["top1_image_size"]) == (str(path), True, 80.972, 288)
    assert row["download"]["urls"] == ["https://huggingface.co/timm/resnet50.d_in1k/resolve/main/model.safetensors"]
    assert rows["timm/fb_swsl_ig1b_ft_in1k"]["commercial"] is False
    assert rows["imagenet"]["cached"] is False


def test_a_row_is_shown(command, caches):
    status, out, err = command("weights", "show", NOT_COMMERCIAL)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    for values in (
        ["https://huggingface.co/timm/resnet50.fb_swsl_ig1b_ft_in1k/resolve/main/model.safetensors"],
        ["CC-BY-NC-4.0", "commercial"],
        ["224", "256", "bilinear"],
        ["81.182", "224"],
        [f"{caches}/cache/weights/timm/resnet50.fb_swsl_ig1b_ft_in1k.safetensors"],
        ["SHA-256", "server"],
        ["1000"],
    ):
        assert [line for line in lines if all(value in line for value in values)], values
    assert "bytes" not in out
    assert f"resnet50 weights fetch {NOT_COMMERCIAL}" in lines[-1]


def test_a_row_without_a_figure_or_a_classifier(command, numbers):
    out = command("weights", "show", "imagenet-notop")[1]
    assert "%" not in out
    assert "1000" not in out
    assert re.search(r"\bMD5\b.*\b4d473c1dd8becc155b73f8504c6f6626$", out, re.MULTILINE)
    assert "94,765,736 bytes" in out
    assert ["224", "224"] in [numbers(line) for line in out.splitlines()]


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["show", "timm/a9_in1k"], ["timm/a3_in1k", "'timm/a9_in1k'"]),
        (["show", "nowhere/a.pth"], ["nowhere/a.pth"]),
        (["show", "folder.h5"], ["folder.h5", "folder"]),
        (["fetch", "timm/d_in1k", "imagenettt"], ["imagenet", "'imagenettt'"]),
        (["verify", "imagenettt"], ["imagenet", "'imagenettt'"]),
        (["verify", "nowhere.keras"], ["nowhere.keras"]),
    ],
)
def test_what_is_neither_name_nor_file(refused, caches, monkeypatch, words, values):
    (caches / "folder.h5").mkdir()
    monkeypatch.setattr(fetch_module, "fetch", lambda *_, **__: pytest.fail("something was fetched"))
    refused(["weights", *words], *values)


def test_fetching_says_where_the_files_are(command, caches, monkeypatch):
    asked = []

    def fetch(download, folder, *, progress):
        progress(1, None)
        progress(1, 2)
        asked.append(download.name)
        return folder / download.name

    monkeypatch.setattr(fetch_module, "fetch", fetch)
    status, out, err = command("weights", "fetch", "imagenet", NOT_COMMERCIAL)
    assert status == 0
    assert out.splitlines() == [
        f"{caches}/keras/models/resnet50_weights_tf_dim_ordering_tf_kernels.h5",
        f"{caches}/cache/weights/timm/resnet50.fb_swsl_ig1b_ft_in1k.safetensors",
    ]
    assert re.fullmatch(rf".*{NOT_COMMERCIAL}\b.*\bCC-BY-NC-4\.0\b.*\n", err)
    assert asked == ["resnet50_weights_tf_dim_ordering_tf_kernels.h5", "resnet50.fb_swsl_ig1b_ft_in1k.safetensors"]


def test_a_failed_download_is_one_line(command, monkeypatch):
    def fetch(*_, **__):
        raise DownloadError("a.pth could not be fetched.\nAt all.")

    monkeypatch.setattr(fetch_module, "fetch", fetch)
    assert command("weights", "fetch", "imagenet") == (2, "", "resnet50 weights: a.pth could not be fetched. At all.\n")


def test_nothing_to_verify(command):
    status, out, err = command("weights", "verify")
    assert (status, err, out.count("\n")) == (0, "", 1)


@pytest.mark.usefixtures("small")
def test_all_that_is_cached_is_verified(command, caches):
    good, bad = put(caches, "a1_in1k"), put(caches, "d_in1k", CONTENT[::-1])
    status, out, err = command("weights", "verify")
    assert (status, err) == (2, "")
    right, wrong = out.splitlines()
    assert right.startswith(f"timm/a1_in1k ({good})")
    assert "10240" not in right
    assert wrong.startswith(f"timm/d_in1k ({bad})")
    for value in ("10240", "sha256", hashlib.sha256(CONTENT[::-1]).hexdigest()):
        assert value in wrong
    bad.write_bytes(CONTENT)
    assert command("weights", "verify")[0] == 0
    assert command("weights", "verify", "timm/a1_in1k") == (0, f"{right}\n", "")


@pytest.mark.usefixtures("small")
def test_a_named_file_that_is_not_there_is_wrong(command):
    status, out, _ = command("weights", "verify", "timm/a1_in1k")
    assert status == 2
    assert out.startswith("timm/a1_in1k (")
    assert "resnet50.a1_in1k.safetensors" in out
    assert out.count("\n") == 1


@pytest.mark.usefixtures("small")
def test_files_anywhere_are_verified(command, caches):
    (caches / "resnet50.a1_in1k.safetensors").write_bytes(CONTENT)
    (caches / "mine.pth").write_bytes(CONTENT)
    (caches / "other.pth").write_bytes(b"other")
    (caches / "resnet50.c1_in1k.safetensors").write_bytes(CONTENT)  # published without a hash
    files = ("resnet50.a1_in1k.safetensors", "mine.pth", "other.pth", "resnet50.c1_in1k.safetensors")
    status, out, _ = command("weights", "verify", *files)
    assert status == 2
    right, mine, other, wrong = out.splitlines()
    verdict = right.removeprefix("timm/a1_in1k (resnet50.a1_in1k.safetensors)")
    assert verdict != right
    assert mine == f"timm/a1_in1k (mine.pth){verdict}"
    assert other.startswith("other.pth")
    assert verdict not in other
    assert wrong.startswith("timm/c1_in1k (resnet50.c1_in1k.safetensors)")
    assert "10240" in wrong
    assert "SHA-256" in wrong
    (caches / "resnet50.c1_in1k.safetensors.sha256").write_text(f"{SHA256}  resnet50.c1_in1k.safetensors\n")
    assert command("weights", "verify", files[3])[0] == 0


@pytest.mark.usefixtures("small")
def test_a_damaged_file_is_not_read(command, caches):
    put(caches, "a1_in1k", b"damaged")
    status, out, err = command("weights", "show", "timm/a1_in1k")
    assert (status, err) == (2, "")
    last = out.splitlines()[-1]
    assert re.search(r"\b7\b", last)
    assert hashlib.sha256(b"damaged").hexdigest() in last


@pytest.fixture
def tiny_file(caches, monkeypatch):
    """A file of a tiny network with three classes; ``show`` builds tiny networks, too."""
    monkeypatch.setattr(model_module, "TABLE_1", {14: TINY_STAGES})
    keras.utils.clear_session()
    model = tiny_model(size=(32, 32))
    model.save_weights(caches / "mine.weights.h5")
    return "mine.weights.h5"


def test_a_file_is_shown_and_tried(command, numbers, tiny_file):
    status, out, err = command("weights", "show", tiny_file)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("mine.weights.h5")
    assert re.search(r"\bkeras\b", lines[0])
    assert re.search(r"\bv1\b(?!\.5)", lines[1])
    assert UNKNOWN in lines[1]
    assert numbers(lines[3]) == ["3"]
    assert lines[4].startswith("mine.weights.h5")
    assert numbers(lines[4]) == [numbers(lines[0])[0], "0", "0"]  # all layers are loaded
    (note,) = lines[5:]
    assert "classes" in note


def test_a_file_for_other_channels_is_tried_on_such_a_network(command, numbers, tiny_file, caches):
    model = fill_random(build_resnet50(4, input_shape=(32, 32, 5), stages=TINY_STAGES, adapt_stem=True))
    model.save_weights(caches / "five.weights.h5")
    status, out, err = command("weights", "show", "five.weights.h5")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert numbers(lines[4]) == [numbers(lines[0])[0], "0", "0"]  # all layers are loaded
    assert len(lines) == 6  # and no remark on the channels


@pytest.mark.parametrize("form", ["plain", "preactivation"])
def test_a_file_of_another_form_is_tried_on_such_a_network(form, command, numbers, tiny_file, caches):
    tiny_model(size=(32, 32), form=form).save_weights(caches / "form.weights.h5")
    status, out, err = command("weights", "show", "form.weights.h5")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert f"ResNet-14 v1, {form} blocks" in lines[1]
    assert numbers(lines[4]) == [numbers(lines[0])[0], "0", "0"]  # all layers are loaded


def test_a_file_is_tried_on_other_classes(command, numbers, tiny_file):
    status, out, err = command("weights", "show", tiny_file, "--classes", 5)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert numbers(lines[3]) == ["5"]
    assert "predictions" in lines[5]
    assert numbers(lines[5]) == ["3", "5"]
    assert command("weights", "show", tiny_file, "--classes", 0)[0] == 2


@pytest.mark.parametrize(
    "words", [["--help"], ["list"], ["list", "--json"], ["verify"], ["fetch", "timm/a1_in1k"], ["show", "imagenet"]]
)
def test_what_needs_no_network_of_layers_loads_no_keras(caches, words):
    script = f"""
import sys
from resnet50.cli import main
from resnet50.weights import fetch
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
