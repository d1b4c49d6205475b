import time as real_time
from datetime import datetime, timedelta
from time import struct_time

import attrs
import pytest
from sopchat_client.link import Arrived, Connecting, Delivery, Joined, Lost, Moved, Saying
from sopchat_client.protocols import Message
from sopchat_client.tui.conversation import REPLAY, Conversation
from sopchat_client.tui.scrollback import Kind


@attrs.define
class PlayedTime:
    """The module `time`, at a time that the test sets."""

    now: datetime = datetime(2024, 2, 28, 13, 5, 9)

    def advance(self, **by: float) -> None:
        self.now += timedelta(**by)

    def monotonic(self) -> float:
        return self.now.timestamp()

    def time(self) -> float:
        return self.now.timestamp()

    def localtime(self, seconds: float | None = None) -> struct_time:
        moment = self.now if seconds is None else datetime.fromtimestamp(seconds)
        return moment.timetuple()

    def strftime(self, form: str, moment: struct_time | None = None) -> str:
        return real_time.strftime(form, moment or self.localtime())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> PlayedTime:
    clock = PlayedTime()
    monkeypatch.setattr("sopchat_client.tui.conversation.time", clock)
    return clock


@pytest.fixture
def conversation(clock: PlayedTime) -> Conversation:
    """Joined long ago."""
    conversation = Conversation("Ann", "host:9000")
    conversation.tell(Joined())
    clock.advance(minutes=1)
    return conversation


def say(conversation: Conversation, *texts: str, name: str = "bob") -> None:
    conversation.tell(Arrived([Message(name, text, b"") for text in texts]))


def shown(conversation: Conversation, *kinds: Kind) -> list[str]:
    """The texts of the entries, or of those of some kinds."""
    entries = conversation.scrollback.entries
    return [entry.text for entry in entries if entry.kind in (kinds or Kind)]


def test_messages_stand_below_each_other_with_their_names_and_times(
    conversation: Conversation, clock: PlayedTime
) -> None:
    say(conversation, "one", "two")
    clock.advance(minutes=2)
    say(conversation, "three", name="cid")
    entries = conversation.scrollback.entries[-3:]
    assert [(entry.kind, entry.time, entry.name, entry.text) for entry in entries] == [
        (Kind.MESSAGE, "13:06", "bob", "one"),
        (Kind.MESSAGE, "13:06", "bob", "two"),
        (Kind.MESSAGE, "13:08", "cid", "three"),
    ]


def test_what_was_said_oneself_is_shown_with_its_delivery(conversation: Conversation) -> None:
    saying = Saying("hello")
    conversation.said(saying)
    entry = conversation.scrollback.entries[-1]
    assert (entry.kind, entry.name, entry.text) == (Kind.OWN, "Ann", "hello")
    assert entry.saying is saying


def test_the_screen_is_told_of_everything(clock: PlayedTime) -> None:
    conversation = Conversation("Ann", "host:9000")
    told = []
    conversation.changed = lambda: told.append(len(conversation.scrollback.entries))
    conversation.tell(Connecting())
    conversation.tell(Joined())
    say(conversation, "one", "two")
    conversation.said(Saying("three"))
    conversation.tell(Moved(Saying("three")))
    conversation.tell(Lost("gone", 1.0))
    assert told == [0, 2, 4, 5, 5, 6]


@pytest.mark.parametrize(
    ("name", "text", "mention"),
    [
        ("Ann", "hello Ann", True),
        ("Ann", "ANN, are you there?", True),
        ("Ann", "@ann: yes", True),
        ("Ann", "anna", False),
        ("Ann", "joann", False),
        ("Ann", "ann_b", False),
        ("Ann", "ännann", False),
        ("a.b", "to a.b", True),
        ("a.b", "to acb", False),
        ("(x)", "to (x)!", True),
        ("Ünal", "hallo ünal", True),
        ("", "hello, you!", False),
    ],
)
def test_a_mention_is_the_name_as_a_whole_word_in_any_case(
    name: str, text: str, mention: bool
) -> None:
    conversation = Conversation(name, "host:9000")
    say(conversation, text)
    assert conversation.scrollback.entries[-1].mention is mention


def test_only_a_mention_rings_the_bell(conversation: Conversation) -> None:
    say(conversation, "hello", "everybody")
    assert not conversation.bell
    say(conversation, "hello", "Ann", "and others")
    assert conversation.bell


def test_what_one_says_oneself_is_no_mention(conversation: Conversation) -> None:
    conversation.said(Saying("I am Ann"))
    assert not conversation.bell
    assert not conversation.scrollback.entries[-1].mention


@pytest.mark.parametrize(("seconds", "rings"), [(REPLAY - 0.1, False), (REPLAY + 0.1, True)])
def test_a_replay_after_joining_rings_no_bell(
    seconds: float, rings: bool, conversation: Conversation, clock: PlayedTime
) -> None:
    conversation.tell(Lost("gone", 1.0))
    conversation.tell(Connecting())
    conversation.tell(Joined())
    clock.advance(seconds=seconds)
    say(conversation, "hello Ann")
    assert conversation.bell is rings
    assert conversation.scrollback.entries[-1].mention


def test_while_the_reader_is_here_nothing_is_unread(conversation: Conversation) -> None:
    say(conversation, "one")
    assert conversation.unseen == 0
    assert shown(conversation, Kind.UNREAD) == []


def test_the_unread_rule_is_placed_once_for_an_absence_and_moved_by_the_next(
    conversation: Conversation,
) -> None:
    conversation.reader(here=False)
    say(conversation, "one")
    say(conversation, "two", "three")
    assert conversation.unseen == 3
    assert shown(conversation)[2:] == ["unread from here", "one", "two", "three"]
    conversation.reader(here=True)
    assert conversation.unseen == 0
    say(conversation, "four")
    conversation.reader(here=False)
    conversation.said(Saying("own"))  # is nothing new for who said it
    assert conversation.unseen == 0
    say(conversation, "five", "six")
    assert conversation.unseen == 2
    assert shown(conversation)[2:] == [
        *("one", "two", "three", "four", "own"),
        *("unread from here", "five", "six"),
    ]


def test_a_new_day_has_a_rule_once_above_what_it_brings(
    conversation: Conversation, clock: PlayedTime
) -> None:
    say(conversation, "late")
    clock.advance(days=1)
    conversation.reader(here=False)
    say(conversation, "early", "later")
    assert shown(conversation) == [
        "Wednesday 28 February 2024",
        "joined host:9000 as Ann",
        "late",
        "Thursday 29 February 2024",
        "unread from here",
        "early",
        "later",
    ]


def test_losing_and_joining_again_is_told_once_with_the_times(
    conversation: Conversation, clock: PlayedTime
) -> None:
    conversation.tell(Lost("the server closed", 1.0))
    for _ in range(3):
        clock.advance(minutes=1)
        conversation.tell(Connecting())
        conversation.tell(Lost("nobody listens", 2.0))
    conversation.tell(Connecting())
    conversation.tell(Joined())
    assert shown(conversation, Kind.NOTICE) == [
        "joined host:9000 as Ann",
        "connection lost: the server closed",
        "joined again; what was said from 13:05:29 to 13:09:09 may be missing here",
    ]
    conversation.tell(Lost("again", 1.0))
    assert shown(conversation, Kind.NOTICE)[3:] == ["connection lost: again"]


def test_what_may_be_missing_begins_where_it_was_certain_to_hear(
    conversation: Conversation, clock: PlayedTime
) -> None:
    def missing() -> str:
        conversation.tell(Lost("gone", 1.0))
        conversation.tell(Joined())
        return shown(conversation, Kind.NOTICE)[-1].split("from ")[1].split(" to")[0]

    clock.now = datetime(2024, 2, 28, 14, 0, 0)
    conversation.alive()
    assert missing() == "13:59:20"  # a cut network is noticed after 40 seconds
    say(conversation, "hello")
    clock.advance(seconds=3)
    conversation.alive()
    assert missing() == "14:00:00"  # when somebody was heard
    clock.advance(minutes=10)
    say(conversation, "what the system had kept")
    assert missing() == "14:00:03"  # when the program was stopped


def test_the_connection_is_known_and_since_when(
    conversation: Conversation, clock: PlayedTime
) -> None:
    for event in (Lost("gone", 2.0), Connecting(), Joined()):
        clock.advance(seconds=3)
        conversation.tell(event)
        assert conversation.connection is event
        assert conversation.since == clock.monotonic()
        say(conversation, "what is said changes neither")
        assert conversation.connection is event


def test_a_loss_says_whether_something_is_in_doubt(conversation: Conversation) -> None:
    conversation.tell(Moved(Saying("arrived", Delivery.SENT)))
    conversation.tell(Moved(Saying("lost", Delivery.UNCERTAIN)))
    for reason in ("one", "two"):
        conversation.tell(Lost(reason, 1.0))
        conversation.tell(Joined())
    lost = [text for text in shown(conversation, Kind.NOTICE) if "lost" in text]
    assert lost == [
        "connection lost: one; what is marked ? may not have arrived",
        "connection lost: two",
    ]


def test_nothing_that_drives_a_terminal_stands_in_an_entry(conversation: Conversation) -> None:
    say(conversation, "a\nb\x1b[2J\u202e", name="b\rob\x9b")
    conversation.said(Saying("tab\t"))
    conversation.tell(Lost("why\x07", 1.0))
    message, own, lost = conversation.scrollback.entries[-3:]
    assert (message.name, message.text) == ("b\\rob\\x9b", "a\\nb\\x1b[2J\\u202e")
    assert own.text == "tab\\t"
    assert lost.text == "connection lost: why\\x07"
    assert list(conversation.names) == ["b\\rob\\x9b"]


def test_who_spoke_last_stands_at_the_end_of_the_names(conversation: Conversation) -> None:
    for name in ("bob", "cid", "bob", "dan", "cid"):
        say(conversation, "hello", name=name)
    assert list(conversation.names) == ["bob", "dan", "cid"]
