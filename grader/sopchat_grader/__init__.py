"""sop-chat-grade: a black-box grader for solutions of the chat exercises, in any language.

It imports nothing of the server: a fault they shared would pass its own exam. From what is on
the wire to the verdict, each module knowing only those above it:

failure.py       what a check found wrong, as a value
printable.py     anybody's bytes as harmless text
transcript.py    what happened, with times
processes.py     what /proc tells
forking.py       forking without surprises
containment.py   namespaces, limits, and that nothing is left behind
solution.py      the command that starts a solution
program.py       the program under test on its terminal
client.py        one client, all of whose bytes are on record
trial.py         one run of one check
check.py         checks and exercises
exercises/       the checks
result.py        verdicts, as values
calibration.py   how slow this machine is now
worker.py        one attempt in a process of its own
grading.py       every check of a selection, several at a time
build.py         compiling a solution
reports/         the verdict for persons and programs
templates/       the pages
classroom.py     a class at once
command.py       arguments and exit status
entry.py         the command by name, light to import
"""

from importlib.metadata import version

__version__ = version("sop-chat")
