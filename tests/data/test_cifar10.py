import numpy as np
import pytest
from PIL import Image

from factories import noise, raises, write_image
from resnet50.data.cifar10 import is_cifar10, read_cifar10

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAINING = [f"data_batch_{index}.bin" for index in range(1, 6)]
URL = "https://www.cs.toronto.edu/~kriz/cifar.html"
ADVICE = ("cifar-10-binary.tar.gz", URL)


def binary(folder):
    """Six files of the true size, which are holes on the disk: black airplanes."""
    folder.mkdir(exist_ok=True)
    for name in (*TRAINING, "test_batch.bin"):
        with (folder / name).open("wb") as file:
            file.truncate(30_730_000)
    return folder


def put(path, record, label, image):
    """Write one record as the data set's page describes it: the label, then the red, green and blue plane."""
    planes = b"".join(image[..., channel].tobytes() for channel in range(3))
    with path.open("rb+") as file:
        file.seek(record * 3073)
        file.write(bytes([label]) + planes)


def sheet(path, images):
    """Row k is picture k, its pixels one after the other."""
    pixels = np.stack([image.reshape(1024, 3) for image in images])
    write_image(path, pixels, compress_level=1)


def sheets(folder, numbers=(0, 2, 50), labels=None, text="var labels=[{}];"):
    """Sheets whose pictures are seeded by where they belong."""
    folder.mkdir(exist_ok=True)
    images = {}
    for number in numbers:
        squares = np.random.default_rng(number).integers(0, 256, (1000, 4, 4, 3), dtype=np.uint8)
        images[number] = squares.repeat(8, axis=1).repeat(8, axis=2)  # soon written and read
        images[number][7] = noise(32, 32, 3, seed=number)
        sheet(folder / f"cifar10_batch_{number}.png", images[number])
    if labels is None:
        labels = np.random.default_rng(9).integers(0, 10, 51_000)
    (folder / "cifar10_labels.js").write_text(text.format(", ".join(map(str, labels))))
    return images, np.asarray(labels)


def refuses(folder, *values, kind=ValueError):
    """Check what the reader says of a folder, and return it."""
    with raises(kind, *values) as raised:
        read_cifar10(folder)
    assert raised.type is kind
    return str(raised.value)


# the binary version


@pytest.mark.parametrize("inside", ["", "cifar-10-batches-bin"])
def test_reads_the_binary_version(tmp_path, inside):
    folder = binary(tmp_path / inside)
    first, last, test = noise(3, 32, 32, 3)
    put(folder / "data_batch_1.bin", 0, 6, first)
    put(folder / "data_batch_3.bin", 9999, 9, last)
    put(folder / "test_batch.bin", 17, 3, test)
    assert is_cifar10(tmp_path)
    splits = read_cifar10(str(tmp_path))
    assert list(splits) == ["training", "test"]
    training = splits["training"]
    assert (training.images.shape, training.images.dtype) == ((50_000, 32, 32, 3), np.uint8)
    assert (training.labels.shape, training.labels.dtype) == ((50_000,), np.int64)
    assert (training.class_names, training.dataset, training.groups) == (NAMES, "CIFAR-10", ())
    np.testing.assert_array_equal(training.images[0], first)
    np.testing.assert_array_equal(training.images[29_999], last)
    np.testing.assert_array_equal(splits["test"].images[17], test)
    assert not training.images[1].any()
    assert np.flatnonzero(training.labels).tolist() == [0, 29_999]
    assert (training.labels[0], training.labels[29_999], splits["test"].labels[17]) == (6, 9, 3)
    assert training.sources[29_999] == "data_batch_3.bin#9999"
    assert splits["test"].images.shape == (10_000, 32, 32, 3)
    assert splits["test"].sources[17] == "test_batch.bin#17"


@pytest.mark.parametrize("size", [0, 3073, 30_729_999, 30_730_001])
def test_refuses_a_file_of_another_size(tmp_path, size):
    binary(tmp_path)
    with (tmp_path / "data_batch_5.bin").open("wb") as file:
        file.truncate(size)
    refuses(tmp_path, tmp_path / "data_batch_5.bin", "30,730,000", f"{size:,}")


@pytest.mark.parametrize("name", ["data_batch_2.bin", "test_batch.bin"])
def test_refuses_a_version_that_is_not_complete(tmp_path, name):
    (binary(tmp_path) / name).unlink()
    refuses(tmp_path, tmp_path / name, kind=FileNotFoundError)


@pytest.mark.parametrize("label", [10, 255])
def test_refuses_a_label_that_is_none(tmp_path, label):
    put(binary(tmp_path) / "data_batch_4.bin", 123, label, noise(32, 32, 3))
    refuses(tmp_path, tmp_path / "data_batch_4.bin", "0..9", label, 123)


# sheets


def test_reads_sheets(tmp_path):
    images, labels = sheets(tmp_path)
    assert is_cifar10(tmp_path)
    splits = read_cifar10(tmp_path)
    assert list(splits) == ["training", "test"]
    np.testing.assert_array_equal(splits["training"].images, np.concatenate([images[0], images[2]]))
    np.testing.assert_array_equal(splits["training"].labels, np.concatenate([labels[:1000], labels[2000:3000]]))
    np.testing.assert_array_equal(splits["test"].images, images[50])
    np.testing.assert_array_equal(splits["test"].labels, labels[50_000:51_000])
    assert splits["training"].sources[1005] == "cifar10_batch_2.png#5"
    assert splits["test"].class_names == NAMES
    assert splits["test"].labels.dtype == np.int64


@pytest.mark.parametrize("text", ["var labels=[{}];", "\n var  labels = [ {} ]\n", "var labels=[{}]"])
def test_reads_the_list_in_any_spacing(tmp_path, text):
    _, labels = sheets(tmp_path, numbers=(0, 50), text=text)
    np.testing.assert_array_equal(read_cifar10(tmp_path)["training"].labels, labels[:1000])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[{}]",
        "var labels=[];",
        "var labels=[1,,2];",
        "var labels=[1 2];",
        "var labels=[1,2,];",
        "var labels=[-1];",
        "var labels=[1.0];",
        "var labels=[1,2]; alert(1)",
        "var labels=[1,'2'];",
        "var labels=[1,2",
        "var labels=[\u0661];",
        "let labels=[1];",
        f"var labels=[{'9' * 5000}];",
    ],
)
def test_refuses_another_list(tmp_path, text):
    sheets(tmp_path, numbers=())
    (tmp_path / "cifar10_labels.js").write_text(text)
    refuses(tmp_path, tmp_path / "cifar10_labels.js", "var labels=[...]")


def test_refuses_a_list_that_is_far_too_long(tmp_path):
    with (tmp_path / "cifar10_labels.js").open("wb") as file:
        file.truncate(5_000_000)
    refuses(tmp_path, tmp_path / "cifar10_labels.js", "60,000", "5,000,000")


def test_refuses_a_list_with_another_class(tmp_path):
    sheets(tmp_path, numbers=(), labels=[0] * 77 + [10] + [0] * 60)
    refuses(tmp_path, tmp_path / "cifar10_labels.js", "0..9", 10, 77)


def test_refuses_a_list_that_is_too_short(tmp_path):
    sheets(tmp_path, numbers=(0, 50), labels=[1] * 50_999)
    refuses(tmp_path, tmp_path / "cifar10_labels.js", "51,000", 50, "50,999")


@pytest.mark.parametrize(
    ("numbers", "part", "first", "last"),
    [((50,), "training", 0, 49), ((0, 49), "test", 50, 59), ((), "training", 0, 49)],
)
def test_refuses_a_part_without_sheets(tmp_path, numbers, part, first, last):
    sheets(tmp_path, numbers=numbers)
    names = (f"cifar10_batch_{first}.png", f"cifar10_batch_{last}.png")
    assert part in refuses(tmp_path, tmp_path, *names, kind=FileNotFoundError).replace(str(tmp_path), "")


@pytest.mark.parametrize(
    ("size", "mode", "kind"),
    [
        ((1000, 1024), "RGB", "PNG"),
        ((1024, 999), "RGB", "PNG"),
        ((1024, 1000), "L", "PNG"),
        ((1024, 1000), "RGBA", "PNG"),
        ((1024, 1000), "RGB", "JPEG"),
    ],
)
def test_refuses_another_form_of_sheet(tmp_path, size, mode, kind):
    sheets(tmp_path, numbers=(0, 50))
    path = tmp_path / "cifar10_batch_1.png"
    Image.new(mode, size).save(path, format=kind)
    refuses(tmp_path, path, "PNG", "1024 x 1000", "RGB", kind, f"{size[0]} x {size[1]}", mode)


def test_refuses_a_sheet_that_is_cut_off(tmp_path):
    sheets(tmp_path, numbers=(0, 50))
    path = tmp_path / "cifar10_batch_50.png"
    path.write_bytes(path.read_bytes()[:10_000])
    refuses(tmp_path, path)


# pickles, archives, others


@pytest.mark.parametrize("name", ["data_batch_1", "cifar-10-batches-py", "cifar-10-batches-py-target"])
def test_refuses_pickles_with_advice(tmp_path, name):
    (tmp_path / name).mkdir()
    assert is_cifar10(tmp_path)
    refuses(tmp_path, tmp_path, name, *ADVICE)


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("cifar-10-python.tar.gz", ADVICE),
        ("cifar-10-batches-py.tar.gz", ADVICE),
        ("cifar-10-binary.tar.gz", ()),  # the right one, which has only to be unpacked
    ],
)
def test_refuses_an_archive_with_advice(tmp_path, name, others):
    (tmp_path / name).touch()
    assert is_cifar10(tmp_path)
    text = refuses(tmp_path, tmp_path, name, *others)
    assert (URL in text) == bool(others)


def test_the_binary_version_beside_its_archive_is_read(tmp_path):
    (binary(tmp_path) / "cifar-10-binary.tar.gz").touch()
    (tmp_path / "cifar-10-batches-py").mkdir()
    assert len(read_cifar10(tmp_path)["test"]) == 10_000


def test_knows_another_folder(tmp_path):
    (tmp_path / "airplane").mkdir()
    (tmp_path / "cifar10_batch_0.png").touch()  # without labels
    assert not is_cifar10(tmp_path)
    assert not is_cifar10(tmp_path / "gone")
    refuses(tmp_path, tmp_path, *ADVICE, kind=FileNotFoundError)
    assert URL not in refuses(tmp_path / "gone", tmp_path / "gone", kind=FileNotFoundError)


def test_reads_the_real_sheets(shared_data):
    """The first pictures of the true order: frog, truck, truck, deer; and of the test: cat, ship, ship, airplane."""
    splits = read_cifar10(shared_data / "cifar10")
    training, test = splits["training"], splits["test"]
    assert (len(training), len(test)) == (4000, 1000)
    assert [NAMES[label] for label in training.labels[:4]] == ["frog", "truck", "truck", "deer"]
    assert [NAMES[label] for label in test.labels[:4]] == ["cat", "ship", "ship", "airplane"]
    sea = test.images[1].astype(int)  # a ship under a bright sky
    assert sea[:8].mean() > sea[-8:].mean() + 50
