"""Which device Keras computes on, by backends that are made up: no test needs a GPU."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import pytest

from resnet50.training import accelerator
from resnet50.training.accelerator import Accelerator, find_accelerator
from resnet50.training.environment import describe_environment
from resnet50.training.fast_cpu import precision
from resnet50.training.fast_cpu.precision import build_training_model, resolve_precision
from resnet50.training.optimizer import _adamw


def of_jax(platform, kind, capability=None):
    device = SimpleNamespace(platform=platform, device_kind=kind)
    if capability is not None:
        device.compute_capability = capability
    return SimpleNamespace(local_devices=lambda: [device, device])


def of_tensorflow(*details):
    gpu = SimpleNamespace(name="/physical_device:GPU:0")
    asked = SimpleNamespace(get_device_details=lambda device: details[0] if device is gpu else None)
    visible = {"GPU": [gpu] * len(details)}
    return SimpleNamespace(config=SimpleNamespace(get_visible_devices=visible.get, experimental=asked))


def of_torch(name=None, fast=False):
    def is_bf16_supported(including_emulation=True):
        return fast or including_emulation

    return SimpleNamespace(
        cuda=SimpleNamespace(
            is_available=lambda: name is not None, get_device_name=lambda: name, is_bf16_supported=is_bf16_supported
        )
    )


A100 = {"device_name": "NVIDIA A100-SXM4-40GB", "compute_capability": (8, 0)}
T4 = {"device_name": "Tesla T4", "compute_capability": (7, 5)}


@pytest.mark.parametrize(
    ("backend", "module", "expected"),
    [
        ("jax", of_jax("cpu", "cpu"), None),
        ("jax", of_jax("gpu", "NVIDIA H200", "9.0"), Accelerator("NVIDIA H200", True)),
        ("jax", of_jax("gpu", "NVIDIA GB200", "10.0"), Accelerator("NVIDIA GB200", True)),
        ("jax", of_jax("gpu", "Tesla T4", "7.5"), Accelerator("Tesla T4", False)),
        ("jax", of_jax("gpu", "AMD Instinct MI300X", "gfx942"), Accelerator("AMD Instinct MI300X", True)),
        ("jax", of_jax("gpu", "AMD Radeon VII", "gfx906"), Accelerator("AMD Radeon VII", False)),
        ("jax", of_jax("tpu", "TPU v5 lite"), Accelerator("TPU v5 lite", True)),
        ("jax", of_jax("METAL", "Metal"), Accelerator("Metal", False)),
        ("tensorflow", of_tensorflow(), None),
        ("tensorflow", of_tensorflow(A100), Accelerator("NVIDIA A100-SXM4-40GB", True)),
        ("tensorflow", of_tensorflow(T4), Accelerator("Tesla T4", False)),
        ("tensorflow", of_tensorflow({"device_name": "METAL"}), Accelerator("METAL", False)),
        ("tensorflow", of_tensorflow({}), Accelerator("/physical_device:GPU:0", False)),
        ("torch", of_torch(), None),
        ("torch", of_torch("NVIDIA L4", fast=True), Accelerator("NVIDIA L4", True)),
        ("torch", of_torch("Tesla V100"), Accelerator("Tesla V100", False)),  # PyTorch emulates it there
        ("numpy", None, None),
    ],
)
def test_precision_follows_the_device_on_every_backend(backend, module, expected, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    monkeypatch.setattr(accelerator, "import_module", {backend: module}.get)
    monkeypatch.setattr(precision, "_has_fast_bfloat16", lambda: False)  # of the processor
    assert find_accelerator() == expected
    assert resolve_precision("auto") == ("bfloat16" if expected and expected.bfloat16 else "float32")


def test_a_processor_that_is_fast_in_bfloat16_says_nothing_of_its_gpu(monkeypatch):
    monkeypatch.setattr(precision, "_has_fast_bfloat16", lambda: True)
    monkeypatch.setattr(precision, "find_accelerator", lambda: Accelerator("Tesla T4", False))
    assert resolve_precision("auto") == "float32"


def test_pytorch_may_be_kept_on_the_processor(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    monkeypatch.setattr(accelerator, "import_module", lambda name: of_torch("NVIDIA L4", fast=True))
    monkeypatch.setenv("KERAS_TORCH_DEVICE", "cpu")
    assert find_accelerator() is None


def test_layers_and_optimizer_for_processors_are_used_on_no_gpu(monkeypatch):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(inputs)))
    monkeypatch.setattr("resnet50.training.fast_cpu.precision.find_accelerator", lambda: Accelerator("L4", True))
    monkeypatch.setattr("resnet50.training.optimizer.find_accelerator", lambda: Accelerator("L4", True))
    kinds = [type(layer) for layer in build_training_model(model, "bfloat16").layers[1:]]
    assert kinds == [keras.layers.Conv2D, keras.layers.BatchNormalization]
    assert _adamw().__bases__[1] is keras.optimizers.Adam


def test_the_record_of_a_run_names_the_accelerator(monkeypatch):
    monkeypatch.setattr("resnet50.training.environment.find_accelerator", lambda: None)  # whatever tests run on
    assert "accelerator" not in describe_environment()["machine"]
    monkeypatch.setattr("resnet50.training.environment.find_accelerator", lambda: Accelerator("L4", True))
    assert describe_environment(2)["machine"]["accelerator"] == "L4"
