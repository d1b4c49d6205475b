"""The program to be graded, as its user names it: a command with placeholders."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

ARGUMENTS = "{arguments}"
STAGE = "{stage}"
PLACEHOLDERS = ("{port}", "{key}", ARGUMENTS, STAGE, "{dir}")


@attrs.frozen
class Solution:
    """A command that starts somebody's solution, in any language."""

    words: tuple[str, ...]
    """The command with its placeholders: `{port}`, `{key}`, `{stage}`, `{dir}`, and
    `{arguments}`, which stands for all the arguments that the exercise has."""
    typed: tuple[str, ...]
    """The command as it was typed."""
    folder: Path
    """Where relative names in the command are looked up."""

    def __str__(self) -> str:
        """For a shell: braces without a comma in them need no quotes."""
        return " ".join(
            word if re.fullmatch(r"[\w./:=@%+{}-]+", word) else shlex.quote(word)
            for word in self.typed
        )

    @classmethod
    def from_words(cls, words: Sequence[str], form: Sequence[str], folder: Path) -> "Solution":
        """Take a command as it was typed.

        `form` is what the exercise's arguments look like, such as `{port} {key}`. Where they
        stand like that, or where no argument is named at all, checks may also start the program
        with others, wrong ones for instance.
        """
        found = tuple(words)
        size = len(form)
        for start in range(len(found) - size + 1):
            if size and found[start : start + size] == tuple(form):
                found = (*found[:start], ARGUMENTS, *found[start + size :])
                break
        if not any(name in word for word in found for name in ("{port}", "{key}", ARGUMENTS)):
            found = (*found, ARGUMENTS)
        return cls(found, tuple(words), folder)

    @property
    def takes_any_arguments(self) -> bool:
        """Whether it can be started with other arguments than a port and a key."""
        return any(ARGUMENTS in word for word in self.words)

    @property
    def has_every_stage(self) -> bool:
        """Whether there is a program for each stage."""
        return any(STAGE in word for word in self.words)

    def command(self, values: Mapping[str, str], arguments: Sequence[str]) -> list[str]:
        """The words to execute. `values` has what stands for `{port}`, `{key}` and `{stage}`."""
        command: list[str] = []
        for word in self.words:
            if word == ARGUMENTS:
                command += arguments
                continue
            filled = word.replace(ARGUMENTS, shlex.join(arguments))
            filled = filled.replace("{dir}", str(self.folder))
            for name, value in values.items():
                filled = filled.replace(f"{{{name}}}", value)
            command.append(self._located(filled, is_program=not command))
        return command

    def _located(self, word: str, *, is_program: bool) -> str:
        """A file in our folder by its full name: each check runs in a folder of its own."""
        if is_program and "/" not in word:
            return word  # on the PATH, as in a shell
        path = self.folder / word
        return str(path) if word and path.exists() else word
