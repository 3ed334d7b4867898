"""``resnet50 suggest``: the table to fill in, the page to label on, and what cannot be read."""

from __future__ import annotations

import csv

import pytest

from factories import classifier as classifier_of
from factories import noise, write_image
from resnet50.data.listing import list_images


@pytest.fixture
def model(tmp_path):
    classifier_of().save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def test_images_of_one_name_in_two_folders_are_two_images(command, model, tmp_path):
    for k, name in enumerate(("a/same.png", "b/same.png", "=formula.png")):
        write_image(tmp_path / "new" / name, noise(40, 50, 3, seed=k))
    (tmp_path / "new" / "broken.png").write_text("none")
    status, out, err = command("suggest", "new", "--model", model, "-n", 9)
    assert status == 2  # after the others are done
    assert err.count("broken.png") == 1
    assert "3 of 3" in out
    with (tmp_path / "suggest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["path"] for row in rows} == {"new/a/same.png", "new/b/same.png", "new/=formula.png"}
    assert {row["label"] for row in rows} == {""}
    assert (tmp_path / "suggest.html").exists()


@pytest.mark.parametrize("table", ["labels.csv", "elsewhere/labels.csv"])
def test_a_table_that_is_filled_in_is_a_dataset(command, model, tmp_path, table):
    for k in range(2):
        write_image(tmp_path / "new" / f"{k}.png", noise(40, 50, 3, seed=k))
    (tmp_path / "elsewhere").mkdir()
    assert command("suggest", "new", "--model", model, "--out", table)[0] == 0
    with (tmp_path / table).open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (tmp_path / table).open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "label": f"class{k}"} for k, row in enumerate(rows))
    listing = list_images(tmp_path / table)
    assert (listing.class_names, len(listing.entries)) == (("class0", "class1"), 2)


def test_a_table_and_a_page_have_their_suffixes(refused, model, tmp_path):
    refused(["suggest", tmp_path, "--model", model, "--out", "x.txt"], "x.txt")
    refused(["suggest", tmp_path, "--model", model, "--page", "x.txt"], "x.txt")


def test_labels_that_are_filled_in_are_not_replaced(refused, tmp_path):
    table = tmp_path / "suggest.csv"
    table.write_text("path,label,prediction,probability,second,uncertainty\na.png,cats,,,,\nb.png,,,,,\n")
    before = table.read_bytes()
    refused(["suggest", tmp_path], "suggest.csv", "1 label", "--out")  # before it looks for a model
    assert table.read_bytes() == before
