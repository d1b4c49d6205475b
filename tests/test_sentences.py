"""Every sentence of the frame protocol is held by a test."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_every_sentence_of_the_frame_protocol_is_named_by_a_test() -> None:
    contract = (ROOT / "docs" / "frame-protocol.md").read_text()
    sentences = set(re.findall(r"^- \*\*([A-Z]\d+)\*\*", contract, re.MULTILINE))
    named = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for names in re.findall(r"@pytest\.mark\.sentence\((.*?)\)\n", file.read_text())
        for name in re.findall(r'"(\w+)"', names)
    }
    assert sentences
    assert sentences - named == set(), "these sentences have no test"
    assert named - sentences == set(), "these are no sentences of the contract"
