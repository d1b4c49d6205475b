"""Parsers under bytes that nobody thought of: one target a promise.

material.py    what the bytes of one input mean: numbers, texts, a stream and where it is cut
files.py       a file that holds them
targets.py     what a target is, and all there are
wire.py        frames, lines, talk messages
display.py     what is shown of bytes from the network
doors.py       a client's passage through each door
rooms.py       the room's one order, members coming, stopping and going
client.py      what the client understands, and what it is told to say
screen.py      what the full screen reads and how it wraps
commands.py    arguments, key files, profiles
logs.py        the room log: pages, files, damage, what is printed of it
encryption.py  TLS with somebody in between
trust.py       fingerprints, known servers, certificates
service.py     what a service manager says and hands over
entrance.py    who may come in, and how much they may say
grader.py      what reports show of a solution's bytes
corpus.py      the inputs that are kept, few and small
worker.py      one target in a process of its own, driven by atheris
figures.py     all of it as an experiment of the laboratory
__main__.py    `scripts/fuzz`: targets side by side, and the table

A further target is a function `check(material: Material) -> None` in one of the subjects, or in a
new one named in `targets.SUBJECTS`, with `@target` before it and its promise as the docstring;
`scripts/fuzz --keep NAME` makes its corpus.
"""
