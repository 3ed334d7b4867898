"""What reaches standard error when the package is used for the first time: nothing but errors."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from factories import WITHOUT_TENSORFLOW
from resnet50._io.quiet import quiet


def run(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    base = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "KERAS_"))}
    return subprocess.run(
        [sys.executable, "-c", script], env={**base, **environment}, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "script",
    [
        "import resnet50; resnet50.build_resnet50",
        "from resnet50.blocks import identity_block",
        "import resnet50, importlib.util as u; u.find_spec('keras'); from resnet50.blocks import identity_block",
        "import resnet50, keras; keras.ops.zeros(2); import importlib.resources as r; r.files('keras')",
    ],
)
def test_the_first_use_prints_nothing_and_later_errors_are_seen(script):
    done = run(
        f"{script}\nimport os, sys; import gc; assert 'keras' in sys.modules and gc.isenabled(); os.write(2, b'seen')"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "seen")


@pytest.mark.slow
def test_a_program_that_has_imported_tensorflow_keeps_its_settings():
    done = run(
        "import os, tensorflow; before = dict(os.environ); import resnet50.blocks; print(dict(os.environ) == before)"
    )
    assert done.stdout == "True\n"


def test_a_missing_backend_is_an_error_with_its_output():
    done = run("import resnet50.blocks", KERAS_BACKEND="abacus")
    assert done.returncode == 1
    assert "abacus" in done.stderr


def test_a_backend_that_is_not_installed_is_named_with_what_to_do():
    done = run(f"{WITHOUT_TENSORFLOW}\nimport resnet50.blocks", KERAS_BACKEND="tensorflow")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    for words in ("package tensorflow", "KERAS_BACKEND", "keras.json", "jax, torch"):
        assert words in last


def test_what_was_held_back_is_printed_when_the_block_raises(capfd):
    with quiet():
        os.write(2, b"held back")
    assert capfd.readouterr().err == ""
    with pytest.raises(KeyError), quiet():
        os.write(2, b"the cause")
        raise KeyError
    assert capfd.readouterr().err == "the cause"
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


def test_threads_that_are_quiet_together_give_standard_error_back(capfd):
    """One ends first that has not begun first."""
    inside, ended = threading.Barrier(2), threading.Event()

    def block(waits):
        with quiet():
            inside.wait()
            os.write(2, b"held back\n")
            if waits:
                ended.wait()
        ended.set()

    threads = [threading.Thread(target=block, args=(waits,)) for waits in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"seen\n")
    assert capfd.readouterr().err == "seen\n"


def test_an_error_that_a_block_around_it_handles_prints_nothing(capfd):
    with quiet(), pytest.raises(KeyError), quiet():
        os.write(2, b"held back\n")
        raise KeyError
    assert capfd.readouterr().err == ""
