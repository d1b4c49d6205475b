"""The reports: the same verdict for a person, a program, a build server, a course platform."""

import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from sopchat_grader.reports.gradescope import gradescope
from sopchat_grader.reports.html import html
from sopchat_grader.reports.json_report import json_report
from sopchat_grader.reports.junit import junit
from sopchat_grader.reports.tap import tap
from sopchat_grader.result import Report

FORMATS: Mapping[str, Callable[[Report], str]] = {
    "json": json_report,
    "junit": junit,
    "gradescope": gradescope,
    "tap": tap,
    "html": html,
}

STANDARD_OUTPUT = "-"


def write(report: Report, name: str, file: str) -> None:
    """Write a report; a file is replaced as a whole, so that it can be read at any time.

    Raises OSError.
    """
    text = FORMATS[name](report)
    if file == STANDARD_OUTPUT:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    write_file(Path(file), text)


def write_file(path: Path, text: str) -> None:
    """Replace a file as a whole. Raises OSError."""
    if path.exists() and not path.is_file():  # a device, a pipe
        path.write_text(text, encoding="utf-8")
        return
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        mask = os.umask(0)
        os.umask(mask)
        Path(temporary).chmod(0o666 & ~mask)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
