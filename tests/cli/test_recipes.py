from __future__ import annotations

import json

import pytest

from resnet50.recipes import RECIPES


def test_recipes_are_listed_with_a_line_each(command):
    status, out, _ = command("recipes")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == list(RECIPES)
    assert "scratch, fine-tuned, classic" in out.splitlines()[1]


def test_a_recipe_is_shown_with_every_number(command):
    status, out, _ = command("recipes", "signs")
    assert status == 0
    assert json.loads(out[out.index("{") :])["name"] == "signs"
    assert "resnet50 train signs" in out
    assert "`" not in out


@pytest.mark.parametrize("task", RECIPES)
def test_the_text_of_a_recipe_is_wrapped_once(command, task, monkeypatch):
    monkeypatch.setenv("COLUMNS", "4000")
    text = command("recipes", task)[1].partition("\n{")[0]
    assert all("\n" not in paragraph for paragraph in text.strip().split("\n\n"))


def test_a_variant_of_no_recipe_is_refused(refused):
    refused(("recipes", "--variant", "classic"), "--variant", "classic")


def test_a_variant_is_shown(command):
    def shown(*words):
        out = command("recipes", "leukemia", *words)[1]
        return json.loads(out[out.index("\n{") :])

    assert shown("--variant", "fine-tuned") == shown()
    assert shown("--variant", "scratch")["weights"] is None
    assert shown("--variant", "classic") != shown()


def test_an_unknown_recipe_is_refused(refused):
    refused(("recipes", "x"), *RECIPES, "'x'")
    assert "did you mean rocks?" in refused(("recipes", "rokcs"), "'rokcs'")
    refused(("recipes", "rocks", "--variant", "fine-tune"), "scratch", "'fine-tune'", "fine-tuned?")
