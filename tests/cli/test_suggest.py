from __future__ import annotations

import csv

from factories import classifier, draw_image


def test_images_to_label_are_written_as_a_table_and_a_page(command, refused, tmp_path):
    classifier().save(tmp_path / "model.keras")
    for number in range(4):
        draw_image(tmp_path / "new" / f"{number}.png", number)
    (tmp_path / "new" / "broken.png").write_bytes(b"no image")
    words = ("suggest", "new", "--model", "model.keras", "-n", 2)
    status, out, error = command(*words)
    assert status == 2
    assert "2 of 4 images" in out
    assert "broken.png" in error
    assert out.splitlines()[-2:] == ["suggest.csv", "suggest.html"]
    with (tmp_path / "suggest.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) == 3
    assert (tmp_path / "suggest.html").read_text(encoding="utf-8").count("data-suggestion=") == 2
    refused((*words, "--page", "page.txt"), "page.txt", ".html")
