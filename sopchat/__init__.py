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
service.py     what the service manager is told, and the sockets it hands over
history.py     what was said last
rate.py        how much one member may say
pressure.py    readers wait while a member cannot keep up
turn.py        what one turn of the event loop wakes
outbox.py      one member's queue and its sender task
room.py        members, one order, broadcast
console.py     what the operator sees
log/           every frame on disk, in the room's order
pending.py     connections that have not authenticated
addresses.py   what the clients of one address do together
admission.py   who may come in
session.py     one connection's life
server.py      listeners, admission, shutdown
stages/        the first three stages of the exercise, from the same parts
exercises/     the sister exercises, from the same parts
commands/      arguments and exit status
entry.py       the commands by name, light to import
"""

__version__ = "0.1.0"
