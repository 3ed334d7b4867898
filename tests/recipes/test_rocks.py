from dataclasses import asdict

from resnet50.data.augmentation import Augmentation
from resnet50.recipes import folder, rocks


def test_every_variant_is_a_recipe_of_rocks():
    assert rocks.VARIANTS["scratch"] is rocks.RECIPE
    assert {recipe.name for recipe in rocks.VARIANTS.values()} == {"rocks"}
    assert rocks.RECIPE.weights is None
    assert rocks.VARIANTS["fine-tuned"] == folder.ALL_LAYERS.change(name="rocks", flip=True)
    assert folder.ALL_LAYERS.weights == "timm/tv_in1k"


def test_the_classic_variant_is_the_published_setting():
    classic = asdict(rocks.VARIANTS["classic"])
    head, every = rocks.VARIANTS["classic"].phases
    assert (classic["weights"], classic["head"]) == ("imagenet", "mlp")
    assert (head.trainable, every.trainable) == ("head", "all")
    assert head.epochs + every.epochs == 250
    for phase in (head, every):
        assert phase.schedule == "plateau"
        assert phase.patience > phase.lr_patience > 0
    usual = asdict(Augmentation())
    changed = {name for name, most in classic["augmentation"].items() if most != usual[name]}
    assert changed == {"rotation", "shear", "zoom", "flip"}
