import pytest

from factories import raises
from resnet50._io.arguments import explain_arguments
from resnet50._io.text import are, check_printable, have, listed, plural, printable, share_of


@pytest.mark.parametrize(
    ("count", "noun", "expected"),
    [(1, "file", "1 file"), (0, "file", "0 files"), (1200, "class", "1,200 classes"), (1, "class", "1 class")],
)
def test_plural(count, noun, expected):
    assert plural(count, noun) == expected


def test_a_share_has_its_count_and_total():
    assert share_of(3, 1200, "images") == "3 of 1,200 images (0.2%)"


@pytest.mark.parametrize(("items", "one"), [(1, True), (["a"], True), (0, False), (["a", "b"], False)])
def test_verbs(items, one):
    assert (have(items), are(items)) == (("has", "is") if one else ("have", "are"))


def test_long_lists_are_cut_and_other_bytes_escaped():
    assert listed(["a", "b"]) == "a, b"
    assert listed([*"abcdefg"]) == "a, b, c, d, e and 2 more"
    assert listed(["\udcff.png"]) == r"\udcff.png"
    assert listed(["a\x1b[2J", "b\nc"]) == r"a\x1b[2J, b\nc"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("line\nbreak\r", "line\\nbreak\\r"),
        ("caf\xe9 \u732b", "caf\xe9 \u732b"),
        ("byte\udcff", "byte\\udcff"),
        ("\u202etxt", "\\u202etxt"),
    ],
)
def test_control_characters_are_escaped(text, shown):
    assert printable(text) == shown


def test_names_with_control_characters_are_refused():
    check_printable(["\u732b", "50 % & <b>", "$\\foo$", "a\u200cb"], "a.h5: expected names")
    with raises(ValueError, "a.h5: expected names", r"b\\x1bc"):
        check_printable(["a", "b\x1bc"], "a.h5: expected names")


def test_a_wrong_call_gets_an_example():
    @explain_arguments("double(2)")
    def double(x):
        """Double."""
        return 2 * x

    assert double(2) == 4
    assert double.__doc__ == "Double."
    with raises(TypeError, "double(2)", "'x'"):
        double()
