import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sopchat.arguments import UsageError
from sopchat.state import keep, locked, state_folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_folder_is_where_the_user_keeps_such_things(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert state_folder() == Path("/state/sop-chat")
    for said in ("", "relative"):
        monkeypatch.setenv("XDG_STATE_HOME", said)
        monkeypatch.setenv("HOME", "/home/ann")
        assert state_folder() == Path("/home/ann/.local/state/sop-chat")


def test_who_has_no_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)

    def no_home(path: Path) -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "expanduser", no_home)
    with pytest.raises(UsageError, match="nobody knows what ~ is"):
        state_folder()


def test_a_file_is_its_owners_alone_and_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "some" / "folder"
    with locked(folder):
        keep(folder / "file", b"one")
        keep(folder / "file", b"two")
    assert (folder / "file").read_bytes() == b"two"
    assert mode(folder / "file") == 0o600
    assert mode(folder) == 0o700
    assert {path.name for path in folder.iterdir()} == {"file", "lock"}


def test_what_cannot_be_written_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="directory"):
        keep(tmp_path / "file", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_only_one_process_at_a_time_changes_anything(tmp_path: Path) -> None:
    add = (
        "from pathlib import Path; from sopchat.state import keep, locked\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "for _ in range(20):\n"
        "  with locked(folder):\n"
        "    file = folder / 'count'\n"
        "    count = int(file.read_text()) if file.exists() else 0\n"
        "    keep(file, str(count + 1).encode())\n"
    )
    adders = [subprocess.Popen([sys.executable, "-c", add]) for _ in range(3)]
    assert [adder.wait(30) for adder in adders] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "60"
