"""Groups from the subfolders of class folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from factories import draw_image, raises
from resnet50.data.listing import list_images
from resnet50.data.loading import load_dataset
from resnet50.data.options import ReadOptions


def touch(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def folders(root: Path, names: list[str], *, each: int = 3, classes: tuple[str, ...] = ("benign", "malignant")) -> Path:
    return touch(root, *(f"{label}/{name}/{k}.png" for label in classes for name in names for k in range(each)))


def groups_of(root: Path, **options) -> dict[str, str]:
    listing = list_images(root, **options)
    return {listing.name_of(entry): entry.group for entry in listing.entries}


PATIENTS = [f"patient{number:02}" for number in range(6)]


def test_a_folder_for_each_patient_is_a_group(tmp_path):
    groups = groups_of(folders(tmp_path, PATIENTS))
    assert len(groups) == 36
    assert groups["benign/patient03/1.png"] == groups["malignant/patient03/0.png"] == "patient03/"
    assert set(groups.values()) == {f"{name}/" for name in PATIENTS}
    assert set(groups_of(tmp_path, groups=False).values()) == {""}


def test_folders_of_patients_in_folders_of_splits_are_groups_too(tmp_path):
    for split in ("train", "test"):
        folders(tmp_path / split, PATIENTS)
    groups = groups_of(tmp_path)
    assert groups["train/benign/patient00/0.png"] == groups["test/malignant/patient00/2.png"] == "patient00/"


def test_the_first_level_with_patients_counts(tmp_path):
    paths = [
        f"{label}/SOB/{kind}/B-{patient}/{zoom}X/{k}.png"
        for label in ("benign", "malignant")
        for kind in ("adenosis", "papillary")
        for patient in range(4)
        for zoom in (40, 100)
        for k in range(2)
    ]
    assert groups_of(touch(tmp_path, *paths))["benign/SOB/adenosis/B-2/40X/1.png"] == "SOB/adenosis/B-2/"


@pytest.mark.parametrize(
    "names",
    [
        ["poodle", "beagle", "boxer", "collie", "husky", "pug"],  # subclasses
        ["40X", "100X", "200X", "400X"],  # too few
        [],
    ],
)
def test_other_subfolders_are_no_groups_unless_asked_for(tmp_path, names):
    folders(tmp_path, names)
    touch(tmp_path, "benign/0.png", "malignant/0.png")
    assert set(groups_of(tmp_path).values()) == {""}
    if names:
        assert set(groups_of(tmp_path, groups=True).values()) == {"", *(f"{name}/" for name in names)}


def test_a_folder_for_each_image_is_no_group(tmp_path):
    assert set(groups_of(folders(tmp_path, PATIENTS, each=1)).values()) == {""}


def test_groups_that_cannot_be_made_are_refused(tmp_path):
    touch(tmp_path / "flat", "a/0.png", "b/0.png", "b/only/1.png")
    with raises(ValueError, tmp_path / "flat", "groups"):
        list_images(tmp_path / "flat", groups=True)
    (tmp_path / "table.csv").write_text("path,label\n" + "".join(f"flat/{name}/0.png,{name}\n" for name in "ab"))
    with raises(ValueError, tmp_path / "table.csv", "group"):
        list_images(tmp_path / "table.csv", groups=True)
    with raises(ValueError, "groups", "pattern"):
        ReadOptions(groups=True, pattern="(?P<class>x)")


def test_no_patient_is_on_both_sides_of_a_cut(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    for label in range(2):
        for patient in range(8):
            for k in range(3):
                draw_image(tmp_path / "data" / "ab"[label] / f"p{patient}" / f"{k}.png", (label, patient, k))

    def patients(**options):
        splits = load_dataset(tmp_path / "data", image_size=16, options=ReadOptions(**options))
        return ({path.split("/")[1] for path in dataset.paths} for dataset in (splits.train, splits.test))

    train, test = patients()
    assert not train & test
    assert len(test) in (1, 2)
    train, test = patients(groups=False)
    assert train & test
