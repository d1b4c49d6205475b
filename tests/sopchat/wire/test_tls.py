import ssl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopchat.wire.tls import ALERT, TlsCodec
from tests.support.tls import carry, client_side, server_side, shake_hands, talking

SIZES = st.lists(st.integers(1, 3000), max_size=20)


def everything(codec: TlsCodec, most: int = 2**20) -> bytes:
    """All that can be decrypted now."""
    data = b""
    while True:
        try:
            piece = codec.decrypt(most)
        except BlockingIOError:
            return data
        if not piece:
            return data
        assert len(piece) <= most
        data += piece


@settings(max_examples=20)
@given(SIZES)
def test_hands_are_shaken_however_the_bytes_are_cut(sizes: list[int]) -> None:
    server = TlsCodec(server_side(), server=True)
    client = TlsCodec(client_side(), server=False, server_name="localhost")
    shake_hands(server, client, *sizes)
    assert client.certificate() is not None
    assert server.certificate() is None


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.booleans(), st.binary(max_size=70_000), SIZES), max_size=8),
    st.integers(1, 100_000),
)
def test_both_ways_the_same_bytes_come_out_however_they_are_cut(
    sayings: list[tuple[bool, bytes, list[int]]], most: int
) -> None:
    server, client = talking()
    said, heard = {server: b"", client: b""}, {server: b"", client: b""}
    for by_server, data, sizes in sayings:
        teller, listener = (server, client) if by_server else (client, server)
        teller.encrypt(data)
        carry(teller, listener, *sizes)
        said[teller] += data
        heard[teller] += everything(listener, max(most, len(data) // 50))
    assert heard == said


def test_where_nothing_has_come_it_would_have_to_wait() -> None:
    server, client = talking()
    with pytest.raises(BlockingIOError):
        server.decrypt(1)
    client.encrypt(b"hello")
    half = client.outgoing()
    server.feed(half[:10])
    with pytest.raises(BlockingIOError):
        server.decrypt(1)
    assert not server.more
    server.feed(half[10:])
    assert server.decrypt(3) == b"hel"
    assert server.more
    assert server.decrypt(3) == b"lo"


def test_what_was_said_right_behind_the_handshake_needs_no_more_bytes() -> None:
    server = TlsCodec(server_side(), server=True)
    client = TlsCodec(client_side(), server=False, server_name="localhost")
    client.handshake()
    carry(client, server)
    server.handshake()
    carry(server, client)
    assert client.handshake()
    client.encrypt(b"at once")
    carry(client, server)
    assert server.handshake()
    assert server.more
    assert server.decrypt(100) == b"at once"


def test_the_end_is_told_as_often_as_it_is_asked_for_and_whether_it_was_said() -> None:
    server, client = talking()
    client.encrypt(b"last")
    client.end()
    carry(client, server)
    assert server.decrypt(100) == b"last"
    assert [server.decrypt(100) for _ in range(3)] == [b"", b"", b""]
    assert server.said_goodbye


def test_a_stream_that_is_cut_has_ended_without_a_goodbye() -> None:
    server, client = talking()
    client.encrypt(b"last")
    carry(client, server)
    server.feed(b"")
    assert server.decrypt(100) == b"last"
    assert [server.decrypt(100) for _ in range(3)] == [b"", b"", b""]
    assert server.more
    assert not server.said_goodbye


def test_who_has_said_goodbye_still_hears_what_came_before_and_what_comes_after() -> None:
    server, client = talking()
    server.encrypt(b"before" * 10_000)
    carry(server, client)
    client.end()
    carry(client, server)
    assert server.decrypt(100) == b""
    server.encrypt(b"after")  # the other direction is open
    carry(server, client)
    assert everything(client) == b"before" * 10_000 + b"after"
    server.end()
    carry(server, client)
    assert client.decrypt(100) == b""
    assert client.said_goodbye


def test_goodbye_is_said_once() -> None:
    _, client = talking()
    client.end()
    assert client.outgoing()
    client.end()
    assert not client.outgoing()


def test_what_stands_before_a_fault_is_given_before_the_fault_is_told() -> None:
    server, client = talking()
    client.encrypt(b"whole")
    carry(client, server)
    client.encrypt(b"spoilt")
    spoilt = bytearray(client.outgoing())
    spoilt[-1] ^= 1
    server.feed(bytes(spoilt))
    assert server.decrypt(100) == b"whole"
    for _ in range(2):
        with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
            server.decrypt(100)
    assert server.outgoing()  # the alert


@pytest.mark.parametrize("data", [b"ann".ljust(512, b"\0"), b"GET / HTTP/1.1\r\n\r\n", b"\n" * 9])
def test_who_does_not_speak_tls_gets_an_alert(data: bytes) -> None:
    server = TlsCodec(server_side(), server=True)
    server.feed(data)
    with pytest.raises(ssl.SSLError):
        server.handshake()
    assert server.outgoing().startswith(ALERT)
    assert server.speaks_tls is False


def test_a_client_tells_who_does_not_speak_tls_from_who_says_nothing() -> None:
    client = TlsCodec(client_side(), server=False, server_name="localhost")
    client.handshake()
    assert client.speaks_tls is None
    client.feed(b"Your name: ")
    with pytest.raises(ssl.SSLError):
        client.handshake()
    assert client.speaks_tls is False


def test_a_certificate_for_another_name_is_no_good() -> None:
    server = TlsCodec(server_side("elsewhere.example"), server=True)
    client = TlsCodec(client_side(), server=False, server_name="localhost")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(server, client)
