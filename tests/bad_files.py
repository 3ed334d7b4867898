"""Bad models, runs and names: for each row of docs/guides/bad_data.md with a command, the words that the test gives it.

A builder gets a folder with ``pets`` (two classes of sound images) and ``run``, a finished training on them. It changes
them, or writes something else beside them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import h5py
import numpy as np

from bad_inputs import only_on, picture, sound_images
from factories import classifier, tiny_model, write_image
from resnet50.data.pack import pack

Words = Sequence[str]
Builder = Callable[[Path], Words | Sequence[Words]]


@dataclass(frozen=True)
class BadFiles:
    """One row.

    Attributes:
        build: Builds the input in a folder; returns the words of one command, or of several.
        shows: What each of them prints.
    """

    build: Builder
    shows: Sequence[str]


BAD_FILES: dict[str, BadFiles] = {}
"""What a row's first cell describes."""

ELSEWHERE = {
    # Models, weights and runs
    "an export of which a file was changed or is missing": "inference/test_runtimes.py::test_refuses_damaged_files",
    "a model with more than 16 MiB of metadata or graph, inputs of more than 4,096 pixels, more than 100,000 classes, "
    "or a class name of more than 1,000 characters": "inference/test_classifier.py::"
    "test_refuses_what_would_take_all_memory_or_never_end",
    "an export with a file that its manifest does not list": "inference/test_runtimes.py::"
    "test_a_file_that_the_export_did_not_write_is_refused",
    "an HDF5 file whose heaps would make HDF5 loop forever": "_io/test_hdf5.py::"
    "test_a_heap_over_which_hdf5_would_loop_forever_is_an_error",
    "an HDF5 file whose chunks are far larger than its content": "data/test_hdf5.py::"
    "test_a_chunk_that_is_far_larger_than_its_content_is_refused",
    "the same in the cache": "data/test_cache.py::test_a_damaged_file_is_decoded_again",
    "an image that fails with an error of the disk, the network or the memory": "data/test_cache.py::"
    "test_an_error_of_the_machine_is_not_remembered",
    "an image that changes between its first reading and its decoding": "data/test_cache.py::"
    "test_a_file_that_changes_between_hash_and_decoding_is_read_next_time",
    "a damaged index of the cache, or one that cannot be written": "data/test_file_index.py::"
    "test_a_damaged_index_is_ignored",
    "damaged features in the cache": "training/test_features.py::"
    "test_a_file_that_is_not_as_it_was_written_is_computed_again",
    "a checkpoint with any other byte in its values": "training/test_checkpoint.py::"
    "test_a_damaged_checkpoint_is_refused_or_restored_exactly",
    "a run that another process trains": "training/test_train.py::"
    "test_a_run_that_another_process_trains_is_not_resumed",
    "too little memory": "training/test_train.py::test_running_out_of_memory_names_what_to_change_and_leaves_a_state",
    "Ctrl-C": "cli/test_running.py::test_an_interrupted_run_says_what_is_stored_and_how_to_resume",
    "SIGTERM": "_io/test_interruption.py::test_a_signal_that_ends_the_process_becomes_an_exit_with_its_status",
    "`kill -9`, a power cut": "training/test_checkpoint.py::test_a_killed_run_ends_as_one_that_was_never_stopped",
    "`keras.json` with `floatx` of float16 or float64": "_io/test_keras_settings.py::test_training_is_the_same",
    "`keras.json` with `channels_first`": "_io/test_keras_settings.py::"
    "test_channels_first_is_refused_when_a_model_is_opened",
    # Downloads
    "another size or hash than expected": "_io/test_fetch.py::test_wrong_hash",
    "an HTML page, a Git LFS pointer or nothing in place of the file": "_io/test_fetch.py::"
    "test_gives_up_at_once_what_will_not_pass",
    "a connection that breaks, or a server that is busy": "_io/test_fetch.py::test_tries_again_what_may_pass",
    "a server that falls silent": "_io/test_fetch.py::test_stalled_connection",
    "a redirect from `https` to `http`": "_io/test_fetch.py::test_https_does_not_lead_to_less",
    "a length that is no number, or a file without an end": "_io/test_fetch.py::test_refused",
    "a damaged file in the cache": "_io/test_fetch.py::test_bad_file_is_replaced_by_the_right_one",
    "a disk that fills up during a download": "_io/test_fetch.py::test_disk_full",
    # Terminals and systems
    "class names that the console cannot encode, or with `$`, `%`, `<b>`": "cli/test_odd_names.py::"
    "test_a_console_that_cannot_show_a_name_ends_no_work",
    "Windows: an output named `nul`, `con` or `a:b`": "_io/test_files.py::"
    "test_a_name_that_windows_cannot_store_is_refused_there",
    "Windows: an output that another program has open": "_io/test_files.py::"
    "test_a_file_that_another_program_keeps_open_is_named",
    "Windows: a path of more than 259 characters": "_io/test_files.py::"
    "test_a_path_that_is_too_long_for_windows_is_named",
    "a network share that cannot sync a folder": "_io/test_files.py::"
    "test_a_network_share_that_cannot_sync_a_folder_keeps_the_file",
    "a network share without file locks": "_io/test_hdf5.py::"
    "test_a_network_share_that_locks_nothing_is_read_and_written",
    "too little room for a run or a packed file": "training/test_train.py::"
    "test_a_disk_without_room_for_the_run_is_refused_before_anything_is_written",
    "a disk that fills up during a training": "training/test_train.py::"
    "test_a_disk_that_fills_up_is_one_line_with_the_command_to_resume",
}
"""Rows that need another system, a server or a process of their own, each with the test below tests/ that shows it."""


def row(text: str, *, shows: Sequence[str] = ()) -> Callable[[Builder], Builder]:
    def add(build: Builder) -> Builder:
        assert text not in BAD_FILES, text
        BAD_FILES[text] = BadFiles(build, shows)
        return build

    return add


def predicting(image: str | Path = "pets/cats/00.png", *, model: str = "run") -> Words:
    return "predict", str(image), "--model", model


# Models, weights and runs


@row("an image that cannot be read, among others", shows=("broken.png", "cats/00.png"))
def one_unreadable(here: Path) -> Words:
    (here / "pets" / "cats" / "broken.png").write_bytes(b"no image")
    return predicting("pets")


@row("a folder without images", shows=("empty",))
def no_images(here: Path) -> Words:
    (here / "empty").mkdir()
    return predicting("empty")


@row("test images alone, or images of one class")
def to_be_scored(here: Path) -> Sequence[Words]:
    sound_images(here / "new" / "test", each=3, seed=1)
    sound_images(here / "one", each=3, classes=("cats",), seed=2)
    return [("evaluate", "run", "--data", name, "--out", f"report-{name}") for name in ("new", "one")]


@row("images of classes that the model does not know, among others", shows=("3 of 6 images", "unicorns"))
def some_unknown(here: Path) -> Words:
    sound_images(here / "new", each=3, classes=("cats", "unicorns"), seed=1)
    return "evaluate", "run", "--data", "new"


@row("images of unknown classes alone", shows=("unicorns",))
def all_unknown(here: Path) -> Words:
    sound_images(here / "new", each=3, classes=("unicorns",), seed=1)
    return "evaluate", "run", "--data", "new"


@row("copies of training images in another folder", shows=("error: ",))
def copies(here: Path) -> Words:
    shutil.copytree(here / "pets", here / "new")
    sound_images(here / "new", each=1, seed=1)
    return "evaluate", "run", "--data", "new"


@row("a model file that is cut off, or is something else")
def no_model(here: Path) -> Sequence[Words]:
    model = (here / "run" / "model.keras").read_bytes()
    (here / "cut.keras").write_bytes(model[: len(model) // 2])
    (here / "page.keras").write_bytes(b"<!DOCTYPE html>")
    return [predicting(model=name) for name in ("cut.keras", "page.keras")]


@row("a URL or a link to nothing in place of an image", shows=("00.png", "download", "link"))
def no_file(here: Path) -> Words:
    (here / "link.png").symlink_to(here / "gone.png")
    others = ("https://example.org/a.png", "link.png")
    return "predict", "pets/cats/00.png", *others, "--model", "run"


@row("a class name with control characters in a model file")
def commanding_name(here: Path) -> Words:
    with ZipFile(here / "run" / "model.keras") as old, ZipFile(here / "new.keras", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b'"cats"', b'"\\u001b]52;c;\\u0007"'))
    return predicting(model="new.keras")


@row("weights that are NaN or infinite", shows=(".keras", "predictions"))
def not_finite_weights(here: Path) -> Sequence[Words]:
    all_words = []
    for number in (np.nan, np.inf):
        model = tiny_model(2)
        head = model.get_layer("predictions")
        head.set_weights([np.full_like(value, number) for value in head.get_weights()])
        classifier(model, ("cats", "dogs")).save(here / f"{number}.keras")
        all_words.append(("train", "pets", "--weights", f"{number}.keras", "--out", "new"))
    return all_words


@row("weights whose head has other classes, though as many")
def other_classes(here: Path) -> Words:
    (here / "pets" / "cats").rename(here / "pets" / "birds")
    return "train", "pets", "--weights", "run/model.keras", "--out", "new"


@row("weights of another network")
def other_network(here: Path) -> Words:
    classifier().save(here / "other.keras")
    return "train", "pets", "--weights", "other.keras", "--out", "new"


@row("an `--out` with a run in it")
def occupied(here: Path) -> Words:
    return "train", "pets", "--out", "run"


@row("a folder without a run")
def no_run(here: Path) -> Words:
    return "train", "--resume", "pets"


@row("a finished run and more `--epochs`")
def finished(here: Path) -> Words:
    return "train", "--resume", "run", "--epochs", "3"


@row("a run whose images have changed", shows=("SHA-256",))
def changed_images(here: Path) -> Words:
    write_image(here / "pets" / "cats" / "new.png", picture(1000))
    return "train", "--resume", "run"


@row("a run whose images have moved")
def moved_images(here: Path) -> Words:
    (here / "pets").rename(here / "elsewhere")
    return "train", "--resume", "run"


@row("a `recipe.json` or `environment.json` with values of other types", shows=(".json",))
def other_types(here: Path) -> Sequence[Words]:
    for name, change in (("recipe.json", {"batch_size": "many"}), ("environment.json", {"versions": [1]})):
        path = Path(shutil.copytree(here / "run", here / name)) / name
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    return [("train", "--resume", name) for name in ("recipe.json", "environment.json")]


@row("a checkpoint that is cut off", shows=("last.h5",))
def cut_checkpoint(here: Path) -> Words:
    checkpoint = here / "run" / "checkpoints" / "last.h5"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1000])
    return "train", "--resume", "run"


def packed(here: Path, name: str, change: Callable[[h5py.File], None]) -> Words:
    """Pack the images, and change the file."""
    pack(here / "pets", here / name, image_size=32)
    with h5py.File(here / name, "r+") as file:
        change(file)
    return "train", name, "--out", f"new-{name}"


@row("an HDF5 file with links to other files, or values stored in them", shows=("link.h5",))
def linked(here: Path) -> Words:
    def link(file: h5py.File) -> None:
        del file["train_set_x"]
        file["train_set_x"] = h5py.ExternalLink("other.h5", "train_set_x")

    packed(here, "other.h5", lambda file: None)
    return packed(here, "link.h5", link)


@row("a packed file with other labels, names, groups or pixels than were written", shows=("checksum",))
def changed_pack(here: Path) -> Sequence[Words]:
    def other_label(file: h5py.File) -> None:
        file["train_set_y"][0] = 1 - file["train_set_y"][0]

    def other_pixel(file: h5py.File) -> None:
        file["train_set_x"][0] = 255 - file["train_set_x"][0]

    return [packed(here, "labels.h5", other_label), packed(here, "pixels.h5", other_pixel)]


# Terminals and systems


@row("control characters in the name of a file")
def commanding_file(here: Path) -> Words:
    only_on("linux", "darwin")
    return predicting(write_image(here / "a\x1b]52;c;eA==\x07.png", picture(1000)).name)


@row("a name that a spreadsheet would run, such as `=1+1.png`")
def formula(here: Path) -> Words:
    return *predicting(write_image(here / "=1+1.png", picture(1000)).name), "--out", "answers.csv"


@row("a cache that cannot be written")
def no_cache(here: Path) -> Words:
    (here / "cache").write_bytes(b"a file where the test's cache should be a folder")
    return "train", "pets", "--out", "new"
