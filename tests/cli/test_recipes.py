from __future__ import annotations

import json


def test_recipes_are_listed_with_a_line_each(command):
    status, out, _ = command("recipes")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        "signs",
        "leukemia",
        "rocks",
        "cats-dogs",
        "cifar10",
        "caltech101",
        "folder",
        "rendered-signs",
        "tiny",
    ]
    assert out.splitlines()[1].endswith(" Variants: scratch, fine-tuned, classic.")


def test_a_recipe_is_shown_with_every_number(command):
    status, out, _ = command("recipes", "signs")
    assert status == 0
    assert json.loads(out[out.index("{") :])["name"] == "signs"
    assert "Command: resnet50 train signs" in out
    assert "`" not in out


def test_a_variant_of_no_recipe_is_refused(command):
    assert command("recipes", "--variant", "classic") == (
        2,
        "",
        "resnet50 recipes: --variant classic says how a recipe is shown: name that too.\n",
    )


def test_a_variant_is_shown(command):
    def shown(*words):
        out = command("recipes", "leukemia", *words)[1]
        return json.loads(out[out.index("\n{") :])

    assert shown("--variant", "scratch") == shown()
    assert shown("--variant", "classic") != shown()


def test_an_unknown_recipe_is_refused(command):
    assert command("recipes", "x") == (
        2,
        "",
        "resnet50 recipes: needed a recipe's name, one of signs, leukemia, rocks, cats-dogs, cifar10, caltech101, "
        "folder, rendered-signs, tiny, got 'x'.\n",
    )
