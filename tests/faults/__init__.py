"""The fault laboratory: what goes wrong is brought about, and what then happens is measured.

An experiment is a module with a function `run`, which takes its scale, asserts what must hold and
gives its figures. `test_experiments.py` runs each at a small scale, `scripts/reliability` at full
scale, and puts the figures into docs/reliability.md.

figures.py      what an experiment measured: names, values, units
room.py         the real server with all its doors, and what it has open
party.py        honest members: what they say and hear, compared with one order as it comes
villains.py     a process of those who misbehave, at every door
proxy.py        a network between a client and the server that is slow, or cut
descriptors.py  no descriptor left
endings.py      a connection that ends at every point of a client's life, in every way
network.py      a network that is slow, lossy and cut, played by the proxy
namespace.py    one of the system's own, where it lets us
clocks.py       a wall clock that jumps
crowd.py        a thousand members, of whom a tenth misbehave
stuck.py        one member of a hundred that takes nothing
console.py      an output that nobody reads
kills.py        a server that is killed, and its room log
memory.py       the worst that the rules allow, and the memory it takes
fuzz/           bytes that no parser expects
soak.py         all of it, at random, for long
reliability.py  the list of experiments, and the command that runs them
"""
