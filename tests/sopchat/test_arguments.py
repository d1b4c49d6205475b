import argparse
from pathlib import Path

import pytest

from sopchat.arguments import KEY_VARIABLE, UsageError, at_least, port_number, read_key


@pytest.fixture(autouse=True)
def no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def test_the_key_is_the_argument_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "from the environment")
    assert read_key(None, None) == b"from the environment"
    assert read_key(b"given", None) == b"given"


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n", b"\nsecond line\n"])
def test_a_key_file_says_the_key_in_its_first_line(tmp_path: Path, ending: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(b" k\xff y " + ending)
    assert read_key(None, file) == b" k\xff y "


@pytest.mark.sentence("C2")
@pytest.mark.parametrize(
    ("key", "said"),
    [
        (b"", "the key is empty, and needs 1 to 448 bytes"),
        (b"k" * 449, "the key is 449 bytes long, and at most 448 fit"),
        (None, "no key: give it as an argument, with --key-file, or in $SOPCHAT_KEY"),
    ],
)
def test_what_cannot_be_a_key_is_wrong_use(key: bytes | None, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_key(key, None)
    assert str(caught.value) == said


@pytest.mark.parametrize("ending", [b"\r\r", b"\r\r\r\n", b"\r\rmore"])
def test_a_key_file_whose_first_line_is_too_long_is_not_cut(tmp_path: Path, ending: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(b"k" * 448 + ending)
    with pytest.raises(UsageError, match="at most 448 fit"):
        read_key(None, file)


def test_a_key_file_that_is_of_no_use_is_named(tmp_path: Path) -> None:
    missing, empty, nul = tmp_path / "missing", tmp_path / "empty", tmp_path / "nul"
    empty.write_bytes(b"\nkey on the second line\n")
    nul.write_bytes(b"a\0b\n")
    for file, said in (
        (missing, f"cannot read the key file {missing}: No such file or directory"),
        (tmp_path, f"cannot read the key file {tmp_path}: Is a directory"),
        (empty, f"the key in {empty} is empty"),
        (nul, f"the key in {nul} holds a NUL byte"),
    ):
        with pytest.raises(UsageError) as caught:
            read_key(None, file)
        assert str(caught.value).startswith(said)


def test_two_keys_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="given twice"):
        read_key(b"key", tmp_path / "key")


@pytest.mark.parametrize(
    "text", ["0", "65536", "-1", "x", "", "9000x", " 9000", "1e3", "9_000", "٩٠٠٠", "9" * 5000]
)
def test_what_is_no_port_is_refused_and_the_right_is_said(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="1 to 65535"):
        port_number(text)


def test_ports_go_from_1_to_65535() -> None:
    assert (port_number("1"), port_number("65535"), port_number("09000")) == (1, 65535, 9000)


@pytest.mark.parametrize("text", ["0", "-3", "x", "1.5", ""])
def test_a_number_below_the_least_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="at least 1"):
        at_least(1, int)(text)


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "0"])
def test_a_time_is_finite_and_positive(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"at least 0\.001"):
        at_least(0.001, float)(text)
    assert at_least(0.001, float)("0.5") == 0.5
