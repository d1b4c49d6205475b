"""The command that starts a solution."""

import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sopchat_grader.solution import Solution

_VALUES = {"port": "9000", "key": "1234Key", "stage": "3"}


def _command(
    words: list[str], folder: Path, form: tuple[str, ...] = ("{port}", "{key}")
) -> list[str]:
    return Solution.from_words(words, form, folder).command(_VALUES, ["9000", "1234Key"])


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["server"], ["server", "9000", "1234Key"]),
        (["server", "{port}", "{key}"], ["server", "9000", "1234Key"]),
        (["server", "--key={key}", "{port}"], ["server", "--key=1234Key", "9000"]),
        (["sh", "-c", "exec x {arguments}"], ["sh", "-c", "exec x 9000 1234Key"]),
        (["stage{stage}", "{port}", "{key}"], ["stage3", "9000", "1234Key"]),
    ],
)
def test_placeholders_are_filled_in(words: list[str], expected: list[str], tmp_path: Path) -> None:
    assert _command(words, tmp_path) == expected


def test_files_of_the_folder_are_found_from_any_other_one(tmp_path: Path) -> None:
    (tmp_path / "server.py").touch()
    (tmp_path / "stage3").touch()
    (tmp_path / "python3").touch()
    assert _command(["python3", "server.py"], tmp_path)[:2] == [
        "python3",  # a program without a slash is looked for on the PATH
        str(tmp_path / "server.py"),
    ]
    assert _command(["./stage{stage}"], tmp_path)[0] == str(tmp_path / "stage3")
    assert _command(["run", "{dir}/x"], tmp_path)[1] == f"{tmp_path}/x"


@pytest.mark.parametrize(
    ("words", "varies"),
    [
        (["server"], True),
        (["server", "{port}", "{key}"], True),
        (["server", "{key}", "{port}"], False),
        (["env", "PORT={port}", "server"], False),
        (["sh", "-c", "x {arguments}"], True),
    ],
)
def test_it_is_known_whether_arguments_can_vary(words: list[str], varies: bool) -> None:
    solution = Solution.from_words(words, ("{port}", "{key}"), Path())
    assert solution.takes_any_arguments is varies


@given(st.lists(st.text(st.characters(codec="ascii", exclude_characters="\0")), min_size=1))
def test_a_command_is_told_as_a_shell_takes_it(words: list[str]) -> None:
    told = str(Solution.from_words(words, (), Path()))
    assert shlex.split(told) == words
