"""sop-chat: a small private chat room, and the server of a network programming exercise.

From the bytes inwards, each module knowing only those above it:

wire/          frames and text as pure bytes: no I/O
arguments.py   what all commands share: keys, ports, wrong use
state.py       what is kept for the user from one run to the next
tls.py         what an encrypted room shows of itself: its certificate
limits.py      every limit, with its reason
departure.py   why a member left, as a value
connection.py  what is needed of a byte stream to one client
doors/         listeners and the I/O side of each protocol
pressure.py    readers wait while a member cannot keep up
turn.py        what one turn of the event loop wakes
outbox.py      one member's queue and its sender task
room.py        members, one order, broadcast
console.py     what the operator sees
pending.py     connections that have not authenticated
session.py     one connection's life
server.py      listeners, admission, shutdown
stages/        the first three stages of the exercise, from the same parts
exercises/     the sister exercises, from the same parts
commands/      arguments and exit status
entry.py       the commands by name, light to import
"""

__version__ = "0.1.0"
