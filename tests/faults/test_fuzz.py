"""The parsers' promises hold for the inputs that are kept, and a broken parser breaks them.

`scripts/fuzz` looks for further inputs.
"""

import hashlib
import json
import random
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sopchat_client import execute, known, profiles, protocols
from sopchat_client.parser import ClientParser
from sopchat_client.tui import terminal
from sopchat_client.tui.scrollback import Scrollback
from sopchat_grader.failure import Difference

from sopchat import service, tls
from sopchat.addresses import Addresses
from sopchat.arguments import Parser
from sopchat.commands import sop_chat_log
from sopchat.doors import Chunk
from sopchat.doors.frame import FrameDoorway
from sopchat.doors.line import LineDoorway
from sopchat.limits import Limits
from sopchat.log import page, repair
from sopchat.pending import Pending
from sopchat.rate import Rate
from sopchat.room import Room
from sopchat.wire import display, talk
from sopchat.wire import tls as wire_tls
from sopchat.wire.frame import Frame, FrameBuffer, encode_texts
from sopchat.wire.line import LineBuffer
from tests.faults.fuzz import __main__ as command
from tests.faults.fuzz import client, commands, corpus, grader, logs, screen, trust, wire
from tests.faults.fuzz.targets import SUBJECTS, Target, targets

TARGETS = targets()
PACKAGE = Path(corpus.__file__).parent

each_target = pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))


# Where each target's parser is broken: whose attribute, and by what it is replaced.
BREAKS: dict[str, tuple[object, str, object]] = {
    "addresses": (Addresses, "leave", lambda self, address: None),
    "certificate_files": (tls, "_shown", lambda context: b""),
    "client_arguments": (ClientParser, "_require", lambda self, options: None),
    "composed": (screen, "texts_of", lambda typed: typed.split("\n")),
    "damaged_log": (repair, "cut", lambda file, tail: None),
    "field": (wire, "checked", lambda value, size, what: value[:size]),
    "fingerprints": (trust, "read_fingerprint", str.upper),
    "frame": (Frame, "encode", lambda self: self.name.rstrip(b"\0") + self.text),
    "frame_buffer": (FrameBuffer, "feed", lambda self, data: data),
    "frame_doorway": (Frame, "encode", lambda self: self.name),
    "frame_messages": (protocols.FrameProtocol, "feed", lambda self, data: []),
    "handed_over_sockets": (service, "_door", lambda name: name),
    "joining": (protocols, "FRAME_SIZE", 600),
    "json_line": (client, "from_json", lambda line: json.loads(line)["text"].encode()),
    "key_file": (commands, "read_key", lambda key, file: file.read_bytes()),
    "known_servers": (known, "read_fingerprint", str),
    "least_number": (commands, "at_least", lambda least, kind: kind),
    "limits_file": (commands, "read_limits", lambda options: Limits(max_clients=0)),
    "line_buffer": (LineBuffer, "feed", lambda self, data: data),
    "line_doorway": (LineDoorway, "flush", lambda self: None),
    "line_messages": (LineBuffer, "feed", lambda self, data: data),
    "line_texts": (wire, "lines", bytes.splitlines),
    "log_arguments": (Parser, "error", lambda self, message: self.exit(2, message)),
    "log_exports": (logs, "as_csv", lambda record: ",".join(map(str, record)) + "\r\n"),
    "log_file": (repair, "_give_up", lambda *place: iter(())),
    "log_page": (
        *(page, "_read_group"),
        lambda data, beside, first, place: page.Group(first + place, 0, bytes(512)),
    ),
    "notifying": (service.Notifier, "status", lambda self, text: self._send(f"STATUS={text}")),
    "numbered_frames": (wire, "numbered", lambda frames, first: frames),
    "pending": (Pending, "leave", lambda self, scope: None),
    "port": (commands, "port_number", int),
    "printed_lines": (execute, "_lines", lambda output, is_whole: output.splitlines()),
    "profile": (profiles, "_tables", lambda file: (tomllib.loads(file.read_text()), True)),
    "rate": (commands, "per_second", float),
    "report_dump": (Difference, "position", property(lambda self: 0)),
    "report_text": (grader, "printable", lambda data: data.decode("latin-1")),
    "room": (Room, "settle", lambda self: None),
    "said_messages": (protocols, "encode_texts", lambda name, texts: b""),
    "scrollback": (Scrollback, "row_of", lambda self, entry: 0),
    "sessions": (FrameDoorway, "feed", lambda self, data: Chunk(data, data)),
    "shown_bytes": (display, "printable", lambda data: data.decode("utf-8", "replace")),
    "shown_frames": (display, "escape", lambda text: text),
    "shown_text": (display, "escape", lambda text: text),
    "since": (sop_chat_log, "_since", lambda text: (int(text), 0)),
    "size": (commands, "byte_size", lambda least: lambda text: 0),
    "spoken": (Rate, "said", lambda self, frames, now: 0.0),
    "talk_doorway": (talk, "asks_who", lambda text: not text),
    "talk_message": (talk, "parse", lambda message: message.partition(b" says: ")[::2]),
    "talk_messages": (protocols.TalkProtocol, "feed", lambda self, data: []),
    "terminal_input": (terminal, "_pasted", lambda text: text),
    "text_pieces": (wire, "split_text", lambda text, size: [text[:size], text[size:]]),
    "texts_in_frames": (
        wire,
        "encode_texts",
        lambda name, texts: encode_texts(name, [text.strip() for text in texts]),
    ),
    "tls_garbage": (wire_tls, "_NO_TLS", b"no"),
    "tls_talk": (
        wire_tls.TlsCodec,
        "encrypt",
        lambda self, data: self._tls.write(data[1:] or b"x"),
    ),
    "wrapped": (screen, "wrap", lambda text, first, others: [(0, len(text))]),
}


def inputs(target: Target) -> list[bytes]:
    return corpus.inputs(corpus.CORPUS / target.name)


def fails(target: Target, data: bytes) -> bool:
    try:
        target.check(data)
    except Exception:
        return True
    return False


@each_target
def test_the_promise_holds_for_every_input_that_is_kept(target: Target) -> None:
    known = inputs(target)
    assert known, f"scripts/fuzz --keep {target.name}"
    for one in known:
        target.check(one)


@each_target
@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow], database=None)
@given(data=st.binary(max_size=200))
def test_the_promise_holds_for_bytes_of_any_kind(target: Target, data: bytes) -> None:
    target.check(data)


@each_target
def test_a_broken_parser_breaks_the_promise(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(1)
    further = [chance.randbytes(chance.randrange(target.size)) for _ in range(200)]
    owner, attribute, broken = BREAKS[target.name]
    monkeypatch.setattr(owner, attribute, broken)
    assert any(fails(target, one) for one in [*inputs(target), *further])


def test_what_is_kept_is_small_and_belongs_to_a_target() -> None:
    files = [file for file in corpus.CORPUS.rglob("*") if file.is_file()]
    assert {file.parent for file in files} == {corpus.CORPUS / name for name in TARGETS}
    for file in files:
        assert file.name == hashlib.sha1(file.read_bytes()).hexdigest()
    assert len(files) < 400
    assert sum(file.stat().st_size for file in files) < 300 * 1024


def test_no_subject_is_left_out() -> None:
    registering = {file.stem for file in PACKAGE.glob("*.py") if "\n@target(" in file.read_text()}
    assert registering == set(SUBJECTS)


def test_of_inputs_that_reach_the_same_the_shortest_is_kept() -> None:
    target = TARGETS["port"]
    assert corpus.minimised(target, [b"\0" + b"9" * 4, b"\0" + b"1"]) == [b"\x001"]


Went = Callable[[command.Run], None]


@pytest.fixture
def goes(monkeypatch: pytest.MonkeyPatch) -> Callable[[Went], None]:
    """How a run of a target goes, without the worker that makes it."""

    def play(went: Went) -> None:
        monkeypatch.setattr(command.Run, "go_on", lambda run, seconds, seed: went(run))

    return play


def test_what_a_worker_says_becomes_figures() -> None:
    run = command.Run(TARGETS["frame"])
    told = "#7 NEW    cov: 3 ft: 4 corp\n#9 DONE   cov: 5 ft: 6 corp\n"
    run._note(told + "stat::number_of_executed_units: 4096\n", "2048 100\n4096 1124\n", 0)
    assert (run.inputs, run.coverage, run.features, run.growth) == (4096, 5, 6, 0.5)
    assert not run.fault


def test_memory_that_grows_with_the_inputs_is_a_leak(
    goes: Callable[[Went], None], capsys: pytest.CaptureFixture[str]
) -> None:
    goes(lambda run: run._note("", "16384 100000\n32768 200000\n", 0))
    assert command.main(["frame"]) == 1
    assert "frame: it leaks: 100000 blocks in the last 16384 inputs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("status", "verdict"), [(77, "it fails"), (70, "it hangs"), (71, "it takes too much memory")]
)
def test_an_input_that_breaks_a_promise_is_told_with_how_to_see_it_again(
    goes: Callable[[Went], None], capsys: pytest.CaptureFixture[str], status: int, verdict: str
) -> None:
    goes(lambda run: run._note("; Test unit written to /there/it\n", "", status))
    assert command.main(["frame"]) == 1
    assert f"frame: {verdict}\n  scripts/fuzz --input /there/it frame\n" in capsys.readouterr().out


def test_turns_are_taken_until_so_many_inputs_were_run(
    goes: Callable[[Went], None], tmp_path: Path
) -> None:
    goes(lambda run: run._note("stat::number_of_executed_units: 40\n", "", 0))
    file = tmp_path / "figures.json"
    assert command.main(["--runs", "100", "--json", str(file), "frame", "field"]) == 0
    figures = json.loads(file.read_text())
    assert figures["inputs"] == 160
    assert figures["targets"]["frame"]["inputs"] == 80


def test_a_slow_target_gets_its_share_of_the_inputs(goes: Callable[[Went], None]) -> None:
    def went(run: command.Run) -> None:
        run.inputs += 1000 if run.target.name == "frame" else 20

    goes(went)
    frame, field = command.run_all([TARGETS["frame"], TARGETS["field"]], 1.0, 1, 1000)
    assert (frame.inputs, field.inputs) == (1000, 60)


def test_one_input_is_checked_alone(tmp_path: Path) -> None:
    file = tmp_path / "input"
    file.write_bytes(b"x")
    assert command.main(["--input", str(file), "port"]) == 0
