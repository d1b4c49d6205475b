"""A server of the talk exercise that makes one mistake when told to.

talk.py [--fault NAME] [-v] [-p PORT]. One thread with select; written for the grader's tests.
"""

import argparse
import selectors
import socket
import sys
from typing import NoReturn

GREETING = b"Thank you for connecting"
WHO = b"/who:"
SAYS = b" says: "


class Server:
    """The clients by socket, with the names they said."""

    def __init__(self, port: int, verbose: bool, fault: str) -> None:
        self.fault = fault
        self.verbose = (verbose or fault == "always-verbose") and fault != "never-verbose"
        self.names: dict[socket.socket, bytes] = {}
        self.gone = 0
        self.selector = selectors.DefaultSelector()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("", port + (fault == "listens-elsewhere")))
        self.listener.listen()
        self.selector.register(self.listener, selectors.EVENT_READ)

    def run(self) -> NoReturn:
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.listener:
                    self.admit()
                else:
                    assert isinstance(key.fileobj, socket.socket)
                    self.hear(key.fileobj)

    def admit(self) -> None:
        client, address = self.listener.accept()
        self.tell(f"{address} connected")
        client.send(GREETING + b"\n" * (self.fault == "greets-with-newline"))
        self.names[client] = b"unknown" if self.fault == "unknown-unmarked" else b"<unknown>"
        self.selector.register(client, selectors.EVENT_READ)

    def hear(self, client: socket.socket) -> None:
        try:
            data = client.recv(1024)
        except ConnectionError:
            if self.fault == "traceback-on-reset":
                raise RuntimeError from None
            data = b""
        if not data:
            self.selector.unregister(client)
            del self.names[client]
            self.gone += 1
            client.close()
            self.tell("somebody left")
            return
        name, says, text = data.rpartition(SAYS)
        if says and not (
            self.fault == "keeps-the-first-name" and self.names[client] != b"<unknown>"
        ):
            self.names[client] = name
        asked = data if self.fault == "who-only-alone" else text
        if asked == WHO:
            self.tell("somebody asks who is there")
            everybody = self.fault == "tells-everybody"
            for each in self.names if everybody else [client]:
                each.send(self.everybody())
            return
        self.tell("something is sent on")
        for other in list(self.names):
            if other is not client or self.fault == "echoes-to-sender":
                self.send(other, data.upper() if self.fault == "shouts" else data)

    def send(self, client: socket.socket, data: bytes) -> None:
        try:
            client.send(data)
        except ConnectionError:  # it is about to be read from, and removed
            if self.fault == "traceback-on-reset":
                raise RuntimeError from None

    def everybody(self) -> bytes:
        count = len(self.names) + (self.gone if self.fault == "counts-the-gone" else 0)
        word = b"client" if self.fault == "counts-one-client" else b"clients"
        lines = [b"%d %s connected.\n" % (count, word)]
        for client, name in self.names.items():
            host, port = client.getpeername()
            lines.append(b"%s connected from %s, %d.\n" % (name, host.encode(), port))
        return b"".join(lines)

    def tell(self, what: str) -> None:
        if self.verbose:
            print(what, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fault", default="")
    parser.add_argument("-v", "--verbose", action="store_true")
    fault = parser.parse_known_args()[0].fault
    long_option = "--tcp-port" if fault == "no-long-option" else "--port"
    default = 12346 if fault == "other-default-port" else 12345
    parser.add_argument("-p", long_option, dest="port", type=int, default=default)
    options = parser.parse_args()
    try:
        Server(options.port, options.verbose, options.fault).run()
    except OSError as error:
        if options.fault == "traceback-on-busy-port":
            raise
        sys.exit(f"cannot go on: {error.strerror}")
    except KeyboardInterrupt:
        if options.fault == "traceback-on-control-c":
            raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
