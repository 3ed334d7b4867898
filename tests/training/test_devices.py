"""Several devices train as one does: four CPU devices in a process, and two processes of two. JAX alone can do so."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from factories import (
    AS_IN_A_TERMINAL,
    WITHOUT_TENSORFLOW,
    dataset,
    jax_compiled_in,
    noise,
    posix,
    raises,
    tiny_recipe,
)
from resnet50.data.augmentation import Augmentation
from resnet50.data.batches import Batches
from resnet50.data.mixing import Mixing
from resnet50.data.share import Share
from resnet50.data.splits import DatasetSplits
from resnet50.inference.classifier import Classifier
from resnet50.training import devices, preparation
from resnet50.training import train as training
from resnet50.training.checks import fingerprints
from resnet50.training.devices import check_alike, find_share, join_cluster, own_folder
from resnet50.training.launchers import find_launcher, parse_hosts
from resnet50.training.run import RunDirectory

SLURM = {
    "SLURM_JOB_ID": "77",
    "SLURM_STEP_NODELIST": "node[01-02]",
    "SLURM_NTASKS": "16",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "3",
}
OPEN_MPI = {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "2", "OMPI_MCA_orte_hnp_uri": "1.0;tcp://10.0.0.1:5"}


@pytest.mark.parametrize(
    ("environment", "launcher"),
    [
        ({}, None),
        (SLURM, "SLURM"),
        ({**SLURM, "SLURM_NTASKS": "1"}, None),
        ({name: value for name, value in SLURM.items() if name != "SLURM_STEP_NODELIST"}, None),  # sbatch, no srun
        (OPEN_MPI, "Open MPI"),
        ({**OPEN_MPI, "OMPI_COMM_WORLD_SIZE": "1"}, None),
        ({"TPU_WORKER_HOSTNAMES": "a,b"}, "Cloud TPU"),
        ({"TPU_WORKER_HOSTNAMES": "localhost"}, None),
    ],
)
def test_a_launcher_is_known_by_its_variables(environment, launcher):
    assert find_launcher(environment) == launcher


def test_open_mpi_5_does_not_say_where_its_first_process_is():
    with raises(ValueError, "OMPI_MCA_orte_hnp_uri", "--hosts", 4):
        find_launcher({"OMPI_COMM_WORLD_SIZE": "4"})


def test_hosts_are_an_address_a_number_and_the_own_one():
    assert parse_hosts("train-0.train:1234,16,3") == ("train-0.train:1234", 16, 3)
    assert parse_hosts("[fe80::1]:1234,2,0") == ("[fe80::1]:1234", 2, 0)


@pytest.mark.parametrize("hosts", ["", "a", "a,2,0", ":1,2,0", "1234,2,0", "a:1,2,2", "a:1,2", "a:1,2,-1", "a:1,2,0,0"])
def test_other_hosts_are_refused(hosts):
    with raises(ValueError, "ADDRESS,COUNT,INDEX", repr(hosts)):
        parse_hosts(hosts)


@pytest.mark.parametrize(
    ("backend", "module", "values"),
    [
        ("torch", SimpleNamespace(cuda=SimpleNamespace(device_count=lambda: 2)), ("torch", 2, "KERAS_BACKEND=jax")),
        (
            "tensorflow",
            SimpleNamespace(
                distribute=SimpleNamespace(has_strategy=lambda: False),
                config=SimpleNamespace(get_visible_devices=lambda kind: [kind] * 8),
            ),
            ("tensorflow", 8, "KERAS_BACKEND=jax"),
        ),
        (
            "tensorflow",
            SimpleNamespace(distribute=SimpleNamespace(has_strategy=lambda: True)),
            ("tf.distribute", "KERAS_BACKEND=jax"),
        ),
        (
            "jax",
            SimpleNamespace(process_count=lambda: 2, device_count=lambda: 5, local_device_count=lambda: 1),
            (2, 5, 1),
        ),
    ],
)
def test_devices_that_cannot_train_together_are_refused(backend, module, values, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    monkeypatch.setattr(devices, "import_module", {backend: module}.get)
    with raises(ValueError, *values):
        find_share()


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX would wait for the others")
def test_processes_that_are_started_together_need_jax(monkeypatch):
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    with raises(ValueError, "SLURM", "KERAS_BACKEND=jax", "--hosts none"):
        join_cluster()
    with raises(ValueError, "10.0.0.1:1234,2,0", "KERAS_BACKEND=jax"):
        join_cluster("10.0.0.1:1234,2,0")
    assert join_cluster("none") == Share()


@pytest.mark.parametrize("hosts", ["auto", "10.0.0.1:1234,2,0"])
def test_processes_that_cannot_be_joined_are_an_error_of_one_line(hosts, monkeypatch):
    def refuse(*place):
        raise RuntimeError(f"no\nanswer to {place}.")

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(keras.utils, "set_random_seed", lambda seed: None)
    monkeypatch.setattr(keras.distribution, "initialize", refuse)
    place = (None, None, None) if hosts == "auto" else ("10.0.0.1:1234", 2, 0)
    with raises(ValueError, f"no answer to {place})") as caught:
        join_cluster(hosts)
    assert ("ADDRESS,COUNT,INDEX" in str(caught.value)) == (hosts == "auto")


def some(n):
    images = noise(n, 6, 6, 3)
    images[:, 0, 0, 0] = np.arange(n)
    return dataset(np.arange(n) % 3, "abc", images=images)


@pytest.mark.parametrize("mixing", [None, Mixing(mixup=0.4, cutmix=1.0)], ids=["plain", "mixed"])
def test_the_rows_of_all_processes_are_the_batch_of_one(mixing):
    options = {"shuffle": True, "augmentation": Augmentation(rotation=20), "mixing": mixing, "balance": True, "seed": 2}
    whole = Batches(some(22), 8, **options, share=Share(devices=4))
    parts = [Batches(some(22), 8, **options, share=Share(rank, 2, 4)) for rank in range(2)]
    assert [len(images) for images, _, _ in whole] == [8, 8, 4]  # two images are in no batch
    for index in range(3):
        for expected, *found in zip(whole[index], *(part[index] for part in parts), strict=True):
            np.testing.assert_array_equal(np.concatenate(found), expected)


def test_a_process_makes_no_image_of_another_where_groups_of_the_mixture_lie_between_them(monkeypatch):
    made = []
    apply = Augmentation.apply
    monkeypatch.setattr(
        Augmentation,
        "apply",
        lambda self, images, *given, **named: made.append(len(images)) or apply(self, images, *given, **named),
    )
    options = {"augmentation": Augmentation(rotation=20), "mixing": Mixing(mixup=0.4)}
    for rank in range(2):
        images, _ = Batches(some(64), 64, **options, share=Share(rank, 2, 2))[0]
        assert len(images) == 32
    assert made == [32, 32]


def test_an_epoch_has_every_image_once_over_all_processes_but_those_that_do_not_divide():
    parts = [Batches(some(22), 8, shuffle=True, seed=1, share=Share(rank, 2, 4)) for rank in range(2)]
    left_out = set()
    for epoch in range(2):
        seen = []
        for part in parts:
            part.epoch = epoch
            seen += [image for images, _ in part for image in images[:, 0, 0, 0].tolist()]
        assert len(seen) == len(set(seen)) == 20
        left_out |= set(range(22)) - set(seen)
    assert len(left_out) > 2  # others in the next epoch


@pytest.mark.parametrize(("images", "sizes"), [(34, [16, 16]), (40, [16, 16, 8]), (50, [16, 16, 16])])
def test_a_very_small_last_batch_is_shared_out_among_the_devices_too(images, sizes):
    batches = Batches(some(images), 16, share_last=True, share=Share(devices=4))
    assert [len(targets) for _, targets in batches] == sizes


def test_the_last_batch_is_filled_up_by_copies_that_do_not_count():
    batches = Batches(some(10), 8, share=Share(devices=4), fill=True)
    (full, _, first), (filled, targets, last) = batches
    assert filled[:, 0, 0, 0].tolist() == [8, 9, 0, 0]
    assert (last.dtype, last[2:].tolist()) == (np.float32, [0, 0])
    values = np.arange(10.0) ** 2  # a figure of each image
    of_batches = [np.mean(values[:8] * first), np.mean(np.append(values[8:], [values[0]] * 2) * last)]  # as Keras does
    assert np.average(of_batches, weights=[len(full), len(targets)]) == pytest.approx(values.mean(), rel=1e-6)
    assert len(Batches(some(8), 8, share=Share(devices=4), fill=True)[0]) == 2  # nothing to fill, so no weights


@pytest.mark.parametrize(("batch_size", "n", "values"), [(6, 20, (4, 6, 8)), (3, 20, (4, 3)), (8, 3, (4, 3))])
def test_batches_that_the_devices_do_not_divide_are_refused(batch_size, n, values):
    with raises(ValueError, *values):
        Batches(some(n), batch_size, share=Share(devices=4))


def test_all_processes_but_the_first_write_elsewhere(tmp_path, monkeypatch):
    points = []
    monkeypatch.setattr(devices, "_wait", points.append)
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.json").write_text("{}")
    with own_folder(run, Share(0, 2, 2)) as first, own_folder(run, Share(1, 2, 2)) as second:
        assert first == run
        assert (second / "recipe.json").read_text() == "{}"
        (second / "model.keras").touch()
        assert len(points) == 2
    assert len(points) == 4
    assert [path.name for path in run.iterdir()] == ["recipe.json"]
    assert not second.exists()


@pytest.mark.parametrize("place", [".", ".."])
def test_a_run_directory_may_be_named_by_dots(place, tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "_wait", lambda point: None)
    run = tmp_path / "run"
    (run / "inner").mkdir(parents=True)
    (run / "recipe.json").write_text("{}")
    monkeypatch.chdir(run if place == "." else run / "inner")
    with own_folder(Path(place), Share(1, 2, 2)) as own:
        assert (own.name, (own / "recipe.json").read_text()) == ("run", "{}")


def test_processes_with_other_data_do_not_train_together(monkeypatch):
    heard = []

    def process_allgather(digest):
        heard.append(digest)
        return np.stack([digest, digest if len(heard) < 2 else digest[::-1]])

    monkeypatch.setitem(
        sys.modules, "jax.experimental.multihost_utils", SimpleNamespace(process_allgather=process_allgather)
    )
    check_alike(Share(), images="a")
    assert not heard
    with raises(ValueError, "images", 2, 1):
        check_alike(Share(1, 2, 2), recipe="a", images="b")


@pytest.mark.parametrize(("rank", "error"), [(0, PermissionError), (1, KeyboardInterrupt)])
def test_the_first_process_alone_needs_to_write_to_the_run_directory(rank, error, tmp_path, monkeypatch):
    def begin(*_):
        raise KeyboardInterrupt  # the training has begun

    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(training, "find_share", lambda: Share(rank, 2, 2))
    monkeypatch.setattr(training, "check_splits", begin)
    with pytest.raises(error):
        training.train(tiny_recipe(), DatasetSplits(some(6), some(3)), out=tmp_path / "run", progress=False)


def test_nothing_is_written_by_processes_with_other_data(tmp_path, monkeypatch):
    def refuse(share, **content):
        assert content == {"recipe": recipe.to_json(), "images": str(fingerprints(splits))}
        raise ValueError("other images")

    recipe = tiny_recipe(stages=(("conv2", 1, (2, 2, 4), 1),))
    splits = DatasetSplits(*(dataset([0, 1] * 4, images=noise(8, 32, 32, 3, seed=seed)) for seed in range(2)))
    monkeypatch.setattr(preparation, "check_alike", refuse)
    with raises(ValueError, "other images"):
        preparation.prepare_new(RunDirectory(tmp_path / "run"), recipe, splits, None, Share())
    assert not (tmp_path / "run").exists()


# Trains on all devices of the process, or of all processes; a run is cut before its third epoch and resumed.
SCRIPT = (
    WITHOUT_TENSORFLOW
    + """
from pathlib import Path

import keras
import numpy as np

from resnet50.data.share import ALONE
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.rendered_signs import rendered_signs
from resnet50.training import train as training
from resnet50.training.devices import join_cluster
from resnet50.training.fitting import fit
from resnet50.training.preparation import prepare_new, prepare_resumed
from resnet50.training.progress import Progress
from resnet50.training.recipe import Recipe
from resnet50.training.run import RunDirectory

folder, hosts = Path(sys.argv[1]), sys.argv[2]
share = join_cluster(hosts)
recipe = Recipe.from_json((folder / "recipe.json").read_text())
signs, test = rendered_signs(train=30, test=6, image_size=32)
images = DatasetSplits(signs.select(np.arange(24)), test, signs.select(np.arange(24, 30)))


class Cut(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == last:
            raise KeyboardInterrupt


def cut(train):
    global last
    last = 2
    try:
        train()
    except KeyboardInterrupt:
        last = None


if share.count > 1:
    training.write_report = lambda *parts, **more: None
    training.find_thresholds = lambda run, fitted, progress: (None, "not here")
    cut(lambda: training.train(recipe, images, out=folder / "processes", callbacks=[Cut()], progress=False))
    assert last is None
    run = training.resume(folder / "processes", images, callbacks=[Cut()], progress=False)
    assert run.folder.path == folder / "processes"
    np.savez(folder / f"rank{share.rank}.npz", *run.classifier.model.get_weights())
else:
    def new(name, share):
        return prepare_new(RunDirectory(folder / name), recipe, images, None, share)

    last, directory = None, RunDirectory(folder / "cut")
    fit(new("one", ALONE), [], Progress()).classifier.save(folder / "one.keras")
    fit(new("four", share), [], Progress()).classifier.save(folder / "four.keras")
    cut(lambda: fit(new("cut", share), [Cut()], Progress()))
    assert last is None
    again = prepare_resumed(directory, directory.read(), images, share)
    fit(again, [Cut()], Progress()).classifier.save(folder / "cut.keras")
"""
)


def start(folder, hosts, count):
    """Start a process on so many CPU devices."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": "jax",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}",
        **jax_compiled_in(folder),
        "RESNET50_CACHE": str(folder / "cache"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, folder, hosts],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    try:
        out, _ = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 0, out[-3000:]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with the runs of one device, of four, of four that were cut and resumed, and of two processes."""
    if find_spec("jax") is None:
        pytest.skip("jax is not installed")
    folder = tmp_path_factory.mktemp("devices")
    recipe = tiny_recipe(
        epochs=3,
        optimizer="sgd",
        learning_rate=0.01,
        stages=(("conv2", 1, (4, 6, 16), 1),),
        head="mlp",  # which has dropout
        mixup=0.4,
        class_weight="balanced",
        ema=0.8,
        validation_split=0.25,
    )
    (folder / "recipe.json").write_text(recipe.to_json())
    finish(start(folder, "none", 4))
    return folder


def free_port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


@pytest.mark.slow
@posix
def test_a_signal_ends_a_process_that_has_joined(monkeypatch):
    if find_spec("jax") is None:
        pytest.skip("jax is not installed")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    script = f"""
import time
from resnet50._io.interruption import exit_on_signals
from resnet50.training.devices import join_cluster

with exit_on_signals():  # as around every command
    join_cluster("localhost:{free_port()},1,0")
    signal.raise_signal(signal.SIGTERM)
    time.sleep(1)
"""
    done = subprocess.run([sys.executable, "-c", AS_IN_A_TERMINAL + script], check=False)
    assert done.returncode == 128 + signal.SIGTERM


@pytest.fixture(scope="module")
def processes(runs):
    """The same folder, after two processes with two devices each have trained."""
    port = free_port()
    started = [start(runs, f"localhost:{port},2,{rank}", 2) for rank in range(2)]
    try:
        for process in started:
            finish(process)
    finally:
        for process in started:  # a rank waits for one that has failed
            process.kill()
    return runs


def history(folder):
    """Every figure of a run but the time, epoch by epoch."""
    with (folder / "history.csv").open() as file:
        return [
            {name: float(value) for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)
        ]


def assert_close(found, expected):
    """Figures differ by 1e-6 at most."""
    assert len(found) == len(expected) == 3
    for row, other in zip(found, expected, strict=True):
        assert row == pytest.approx(other, abs=1e-6, rel=1e-6)


def weights(path):
    return Classifier.load(path, runtime="keras").model.get_weights()


@pytest.mark.slow
def test_four_devices_train_as_one_does(runs):
    assert_close(history(runs / "four"), history(runs / "one"))
    for one, four in zip(weights(runs / "one.keras"), weights(runs / "four.keras"), strict=True):
        np.testing.assert_allclose(four, one, rtol=0, atol=5e-5)
    recorded = json.loads((runs / "four" / "environment.json").read_text())["machine"]
    assert recorded["devices"] == 4


@pytest.mark.slow
def test_a_run_that_was_cut_and_resumed_on_four_devices_is_one_that_was_not(runs):
    assert history(runs / "cut") == history(runs / "four")
    for cut, four in zip(weights(runs / "cut.keras"), weights(runs / "four.keras"), strict=True):
        np.testing.assert_array_equal(cut, four)


@pytest.mark.slow
def test_validation_figures_are_those_of_numpy_though_the_devices_do_not_divide_the_images(runs):
    from resnet50.datasets.rendered_signs import rendered_signs

    validation = rendered_signs(train=30, test=6, image_size=32)[0].select(np.arange(24, 30))
    probabilities = Classifier.load(runs / "four.keras", runtime="keras").probabilities(validation.images)
    targets = np.eye(6)[validation.labels] * 0.9 + 0.1 / 6  # label smoothing
    loss = -(targets * np.log(probabilities)).sum(axis=1).mean()
    accuracy = (probabilities.argmax(axis=1) == validation.labels).mean()
    last = history(runs / "four")[-1]
    assert (last["val_loss"], last["val_accuracy"]) == pytest.approx((loss, accuracy), abs=1e-6)


@pytest.mark.slow
def test_two_processes_train_as_one_does_and_leave_one_run(processes):
    assert_close(history(processes / "processes"), history(processes / "one"))
    ranks = [list(np.load(processes / f"rank{rank}.npz").values()) for rank in range(2)]
    stored = weights(processes / "processes" / "model.keras")
    for first, second, saved, one in zip(*ranks, stored, weights(processes / "one.keras"), strict=True):
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(first, saved)
        np.testing.assert_allclose(first, one, rtol=0, atol=5e-5)
