"""A short run of the fuzzing of every reader; ``python -m fuzz`` is the long one."""

from __future__ import annotations

import importlib.util

import pytest

from fuzz.campaign import GOOD, fuzz
from fuzz.subjects import SUBJECTS

CASES = 25


@pytest.mark.slow
@pytest.mark.parametrize("name", SUBJECTS)
def test_damaged_files_are_read_or_refused_in_a_line(name):
    if missing := [package for package in SUBJECTS[name].needs if importlib.util.find_spec(package) is None]:
        pytest.skip(f"needs {', '.join(missing)}")
    outcome = fuzz(name, cases=CASES, seed=1)
    assert outcome.faults == []
    assert sum(outcome.counts[kind] for kind in GOOD) == CASES
