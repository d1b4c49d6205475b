import signal

import pytest

from sopchat import entry


@pytest.mark.parametrize(
    "name", ["sop_chat", "chat_server", "talk_server", "sop_chat_log", "sop_chat_client"]
)
def test_every_command_has_an_entry_point_that_runs_it(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without arguments: wrong use for all but one, which is told to show its help."""
    monkeypatch.setattr("sys.argv", [name, "--what"])
    before = signal.getsignal(signal.SIGINT)
    try:
        status: object = getattr(entry, name)()
    except SystemExit as end:
        status = end.code
    finally:
        signal.signal(signal.SIGINT, before)
    shown = capsys.readouterr()
    assert status == 1
    assert "usage" in (shown.out + shown.err).lower()


def test_ctrl_c_before_a_command_handles_it_has_the_status_of_the_signal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("sopchat.commands.sop_chat.main", interrupted)
    try:
        assert entry.sop_chat() == 130
    finally:
        signal.signal(signal.SIGINT, before)
