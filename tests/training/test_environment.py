from __future__ import annotations

import re

from resnet50.training.environment import describe_environment


def test_the_environment_names_versions_and_machine():
    environment = describe_environment()
    assert {"python", "resnet50", "keras", "numpy", "pillow", environment["backend"]} <= set(environment["versions"])
    assert environment["machine"]["threads"] >= 1
    assert environment["commit"] is None or re.fullmatch("[0-9a-f]{40}(-dirty)?", environment["commit"])
