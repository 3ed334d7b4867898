from __future__ import annotations

import subprocess
import sys

import pytest

import resnet50


def test_every_public_name_is_there():
    for name in resnet50.__all__:
        assert getattr(resnet50, name).__doc__, name
        assert name in dir(resnet50)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'resnet50' has no attribute 'ResNet51'"):
        resnet50.ResNet51  # noqa: B018 - the access is the test


def test_importing_loads_no_backend():
    script = "import sys, resnet50; sys.exit(any(m in sys.modules for m in ('keras', 'tensorflow', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
