import errno
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from factories import posix, raises
from resnet50._io import locks
from resnet50._io.files import atomic_folder, atomic_path, check_new, check_room, write_text


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_what_is_there_is_not_replaced(tmp_path):
    check_new(tmp_path / "new.csv")
    check_new(str(tmp_path / "no" / "such" / "folder.csv"))
    (tmp_path / "old.csv").touch()
    for path, what in ((tmp_path / "old.csv", "file"), (tmp_path, "folder")):
        with raises(ValueError, path, what):
            check_new(path)
    with raises(ValueError, tmp_path / "old.csv", "a file"):
        check_new(tmp_path / "old.csv" / "folder")


def test_a_link_to_nothing_is_no_new_name(tmp_path):
    (tmp_path / "dead.csv").symlink_to(tmp_path / "gone.csv")
    with raises(ValueError, tmp_path / "dead.csv", "link", tmp_path / "gone.csv"):
        check_new(tmp_path / "dead.csv")


def test_the_file_is_there_after_the_block(tmp_path):
    target = tmp_path / "a.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert temporary.parent == tmp_path
        assert not target.exists()
    assert target.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


def test_a_link_to_nothing_is_not_written_to(tmp_path):
    dead = tmp_path / "dead.txt"
    dead.symlink_to("gone")
    with raises(ValueError, dead, "link", "gone"), atomic_path(dead):
        pass
    with raises(ValueError, dead, "link", "gone"), atomic_folder(dead):
        pass
    with raises(ValueError, dead, "link", "gone"), atomic_path(dead / "a.txt"):
        pass
    assert dead.is_symlink()
    assert names(tmp_path) == ["dead.txt"]


def test_replaces_only_at_the_end(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with atomic_path(str(target)) as temporary:
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"


def test_a_writer_may_replace_the_temporary_file(tmp_path):
    with atomic_path(tmp_path / "a.txt") as temporary:
        (tmp_path / "own").write_text("new")
        (tmp_path / "own").replace(temporary)
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [None, "old"])
def test_an_error_leaves_all_as_it_was(tmp_path, error, old):
    target = tmp_path / "a.txt"
    if old:
        target.write_text(old)
    with pytest.raises(error, match="stop"), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error("stop")
    assert names(tmp_path) == (["a.txt"] if old else [])
    if old:
        assert target.read_text() == old


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG])
def test_a_full_disk_is_named_with_the_file(tmp_path, number):
    with raises(OSError, tmp_path / "a.txt", os.strerror(number)) as caught, atomic_path(tmp_path / "a.txt"):
        raise OSError(number, os.strerror(number))
    assert caught.value.errno == number  # for who knows more of the work
    assert names(tmp_path) == []


def test_a_full_disk_is_named_by_a_file_around_it_too(tmp_path):
    inner, outer = tmp_path / "b.txt", tmp_path / "a.txt"
    with raises(OSError, outer, os.strerror(errno.ENOSPC)), atomic_path(outer), atomic_path(inner):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_makes_the_folder(tmp_path):
    with atomic_path(tmp_path / "b" / "c" / "a.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "b" / "c" / "a.txt").read_text() == "new"


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.weights.h5", ".weights.h5"), ("a.keras", ".keras"), ("a", ""), (".hidden", ".hidden"), ("a b.c.d", ".c.d")],
)
def test_keeps_the_whole_suffix(tmp_path, name, suffix):
    with atomic_path(tmp_path / name) as temporary:
        assert temporary.name.startswith(".partial-")
        assert temporary.name.removeprefix(".partial-").partition(".")[2] == suffix.removeprefix(".")
    assert names(tmp_path) == [name]


@posix
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        with atomic_path(tmp_path / "a.txt") as temporary:
            temporary.write_text("new")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == mode


def test_a_folder_under_the_name_is_refused_before_the_work(tmp_path):
    (tmp_path / "a.txt").mkdir()
    with raises(ValueError, tmp_path / "a.txt"), atomic_path(tmp_path / "a.txt"):
        pytest.fail("the work was begun")
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("text", ["a\n猫", "a\n猫\n"])
def test_a_text_ends_its_last_line(tmp_path, text):
    write_text(tmp_path / "new" / "a.txt", text)
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"a\n\xe7\x8c\xab\n"


def test_a_text_is_utf8_wherever_it_is_written(tmp_path):
    code = f"from resnet50._io.files import write_text; write_text({str(tmp_path / 'a.txt')!r}, chr(0x732b))"
    plain = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    subprocess.run([sys.executable, "-c", code], env=plain, check=True)
    assert (tmp_path / "a.txt").read_bytes() == b"\xe7\x8c\xab\n"


def test_a_text_that_cannot_be_written_leaves_the_old_one(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(target, "\udcff")
    assert target.read_text() == "old\n"
    assert names(tmp_path) == ["a.txt"]


def test_an_error_in_a_folder_names_the_callers_file(tmp_path, monkeypatch):
    def refuse(**names):
        raise PermissionError(13, "Permission denied", f"{names['dir']}/.partial-x")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with raises(PermissionError, "Permission denied") as caught, atomic_path(tmp_path / "answers.csv"):
        pass
    assert (caught.value.errno, caught.value.filename) == (13, str(tmp_path / "answers.csv"))
    assert ".partial-x" not in str(caught.value)


@posix
def test_a_folder_appears_when_all_of_it_is_written(tmp_path):
    path = tmp_path / "new" / "export"
    with atomic_folder(path) as temporary:
        assert temporary.parent == path.parent
        (temporary / "sub").mkdir()
        (temporary / "sub" / "a").write_text("a")
        assert not path.exists()
    assert (path / "sub" / "a").read_text() == "a"
    assert [entry.name for entry in path.parent.iterdir()] == ["export"]
    assert path.stat().st_mode & 0o055 == 0o055 & ~umask()


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_folder_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="no room"), atomic_folder(tmp_path / "export") as temporary:
        (temporary / "a").write_text("a")
        raise OSError("no room")
    assert list(tmp_path.iterdir()) == []


def test_the_errors_of_a_folder_name_what_the_caller_gave(tmp_path):
    path = tmp_path / "export"
    for kind, number in ((ValueError, ()), (OSError, ()), (PermissionError, (13, "denied"))):
        with raises(kind, path / "a") as caught, atomic_folder(path) as temporary:
            raise kind(*number, str(temporary / "a"))
        assert ".partial" not in str(caught.value)


@posix
def test_a_folder_that_a_killed_process_left_is_removed_by_the_next(tmp_path, monkeypatch):
    path = tmp_path / "a [1]*"
    with atomic_folder(path) as left:
        pass
    path.rmdir()
    (left / "sub").mkdir(parents=True)
    with atomic_folder(tmp_path / "a [1]"), atomic_folder(tmp_path / "a 1"):
        assert left.is_dir()
    monkeypatch.setattr(locks, "fcntl", None)  # where no folder can be locked, none is known to be left
    with atomic_folder(tmp_path / "other"), suppress(OSError), atomic_folder(path):
        assert left.is_dir()
        raise OSError
    monkeypatch.undo()
    with atomic_folder(path) as temporary:
        assert not left.exists()
        with suppress(OSError), atomic_folder(path):
            assert temporary.is_dir()  # that of a living one
            raise OSError


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_folder_replaces_nothing(tmp_path, kind):
    path = tmp_path / "export"
    path.mkdir() if kind == "folder" else path.write_text("old")
    with raises(ValueError, path) as caught, atomic_folder(path):
        pass
    assert kind in str(caught.value).replace(str(path), "")
    assert [entry.name for entry in tmp_path.iterdir()] == ["export"]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EACCES])
def test_a_network_share_that_cannot_sync_a_folder_keeps_the_file(tmp_path, monkeypatch, number):
    sync = os.fsync

    def refuse_folders(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, "no folders here")
        sync(handle)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "new\n"
    assert names(tmp_path) == ["a.txt"]


def test_a_system_that_opens_no_folder_keeps_the_file(tmp_path, monkeypatch):
    """As Windows does."""
    opened = os.open

    def refuse_folders(path, *arguments, **options):
        if os.path.isdir(path):  # noqa: PTH112 - Path would open the folder itself
            raise PermissionError(errno.EACCES, "a folder")
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse_folders)
    write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "new\n"


@posix
def test_a_disk_that_fails_to_sync_is_an_error(tmp_path, monkeypatch):
    sync = os.fsync

    def fail_on_folders(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EIO, "broken")
        sync(handle)

    monkeypatch.setattr(os, "fsync", fail_on_folders)
    with pytest.raises(OSError, match="broken"):
        write_text(tmp_path / "a.txt", "new")


def test_a_work_that_does_not_fit_onto_the_disk_is_refused_before_it(tmp_path, monkeypatch):
    check_room(tmp_path / "new" / "run", 1000, "the run")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3_000_000))
    check_room(tmp_path / "new" / "run", 3_000_000, "the run")
    with raises(OSError, tmp_path / "new" / "run", "the run", 5, 3):
        check_room(tmp_path / "new" / "run", 5_000_000, "the run")


@pytest.fixture
def windows(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


def refuse_to_replace(monkeypatch, times):
    """As Windows refuses to replace a file while another program has it open."""
    replace, refused = Path.replace, []

    def refuse(path, target):
        if len(refused) < times:
            refused.append(target)
            raise PermissionError(errno.EACCES, "Access is denied", str(path), 5, str(target))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refuse)


def test_a_virus_scanner_that_has_the_file_open_for_a_moment_ends_no_write(tmp_path, monkeypatch, windows):
    refuse_to_replace(monkeypatch, times=3)
    write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "new\n"


def test_a_file_that_another_program_keeps_open_is_named(tmp_path, monkeypatch, windows):
    refuse_to_replace(monkeypatch, times=99)
    with raises(PermissionError, tmp_path / "a.txt", "open"):
        write_text(tmp_path / "a.txt", "new")
    assert names(tmp_path) == []


def test_a_folder_without_permission_is_not_tried_again_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    refuse_to_replace(monkeypatch, times=1)
    with raises(PermissionError, "Access is denied"):
        write_text(tmp_path / "a.txt", "new")


def test_a_temporary_file_that_is_still_open_hides_no_error(tmp_path, monkeypatch, windows):
    def refuse(path, missing_ok=False):
        raise PermissionError(errno.EACCES, "in use")

    monkeypatch.setattr(Path, "unlink", refuse)
    with raises(ValueError, "no images"), atomic_path(tmp_path / "a.h5"):
        raise ValueError("no images")


@pytest.mark.parametrize("name", ["nul", "CON.txt", "aux.tar.gz", "com1.csv", "lpt9", "a:b.csv", "what?", "end."])
def test_a_name_that_windows_cannot_store_is_refused_there(tmp_path, windows, name):
    with raises(ValueError, tmp_path / name), atomic_path(tmp_path / name):
        pytest.fail("the work was begun")
    with raises(ValueError, tmp_path / name), atomic_folder(tmp_path / name):
        pytest.fail("the work was begun")
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["null.txt", "console", "aux-1.csv", "com.csv", "com12", "a.b"])
def test_other_names_are_stored(tmp_path, windows, name):
    write_text(tmp_path / name, "new")
    assert names(tmp_path) == [name]


@posix
@pytest.mark.parametrize("name", ["nul", "a:b.csv"])
def test_what_is_a_name_elsewhere_is_stored_there(tmp_path, monkeypatch, name):
    monkeypatch.setattr(sys, "platform", "linux")
    write_text(tmp_path / name, "new")
    assert names(tmp_path) == [name]


@pytest.mark.parametrize("write", [atomic_path, atomic_folder])
def test_a_path_that_is_too_long_for_windows_is_named(tmp_path, monkeypatch, windows, write):
    def refuse(path, **_):
        raise FileNotFoundError(errno.ENOENT, "The system cannot find the path specified", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    path = tmp_path / ("a" * 200) / ("b" * 100)
    with raises(OSError, path, len(str(path)), "long paths"), write(path):
        pytest.fail("the work was begun")
