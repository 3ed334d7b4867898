"""ResNet-50, written layer by layer in Keras: understand it, train it, ship it.

Each public name is imported when it is first used (``__init__.pyi`` lists them), so that an answer from the command
line need not wait for Keras.
"""

import os
import sys

import lazy_loader

from resnet50._io.quiet import import_keras_quietly

import_keras_quietly()
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # else ONNX Runtime reports its use to its makers
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # OpenVINO and NNCF then do not, either

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
