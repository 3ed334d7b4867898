import json

import pytest

from factories import raises
from resnet50.data.fit import Fit


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"mode": "squeeze"}, ("crop", "squeeze")),
        ({"mode": 3}, ("mode", "3")),
        ({"crop_ratio": 0.0}, ("crop_ratio", "0.0")),
        ({"crop_ratio": 1.5}, ("crop_ratio", "1.5")),
        ({"crop_ratio": float("nan")}, ("crop_ratio", "nan")),
        ({"mode": "pad", "crop_ratio": 0.9}, ("crop_ratio", "pad")),
        ({"mode": "pad", "pad_color": "black"}, ("border", "black")),
        ({"pad_color": "#000000"}, ("pad_color", "crop")),
        ({"resampling": "nearest"}, ("bicubic", "nearest")),
        ({"value_range": (255, 0)}, ("value_range", "255")),
        ({"value_range": (0, float("nan"))}, ("value_range", "nan")),
        ({"value_range": (0, True)}, ("value_range", "True")),
        ({"value_range": 4095}, ("value_range", "4095")),
    ],
)
def test_refuses_what_cannot_be_done(values, words):
    with raises(ValueError, *words):
        Fit(**values)


def test_goes_through_json():
    fit = Fit(mode="pad", pad_color="#102030", resampling="bilinear", value_range=(0, 4095))
    assert Fit.from_dict(json.loads(json.dumps(fit.to_dict()))) == fit


@pytest.mark.parametrize("values", [None, [], {"mode": "crop", "size": 3}])
def test_other_values_are_no_fit(values):
    with raises(ValueError, "crop_ratio", "value_range"):
        Fit.from_dict(values)


def test_a_fit_without_a_range_asks_for_any_measured_one():
    measured = Fit(mode="stretch", value_range=(0, 4095))
    assert Fit(mode="stretch").asks_for(measured)
    assert measured.asks_for(measured)
    assert measured.asks_for(Fit(mode="stretch"))  # of images of 8 bits, which have no range
    assert not Fit(mode="pad").asks_for(measured)
    assert not Fit(mode="stretch", value_range=(0, 1023)).asks_for(measured)


@pytest.mark.parametrize(
    ("fit", "kept"),
    [(Fit(), 1 / 8), (Fit(crop_ratio=0.5), 1 / 32), (Fit(mode="pad"), 1), (Fit(mode="stretch"), 1)],
)
def test_a_crop_keeps_a_share_of_a_wide_image(fit, kept):
    assert fit.kept(640, 80) == fit.kept(80, 640) == pytest.approx(kept)


def test_words_tell_fits_apart():
    fits = [Fit(), Fit(crop_ratio=0.875), Fit(mode="pad"), Fit(mode="pad", pad_color="#ffffff"), Fit(mode="stretch")]
    fits += [Fit(resampling="bilinear"), Fit(value_range=(0, 4095))]
    assert len({str(fit) for fit in fits}) == len(fits)
    assert "0.875" in str(fits[1])
    assert "0..4095" in str(fits[-1])
