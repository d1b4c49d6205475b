"""One target in a process of its own, driven by atheris: `worker.py NAME SUBJECT FLAG ...`.

What libFuzzer says goes to standard error; standard output has a line for each power of two of
inputs: how many there were, and how many blocks of memory Python's own objects took then.
"""

import gc
import sys

import atheris


def main() -> None:
    """Run until the flags say that it is enough; a check that fails ends the process."""
    program, name, subject, *flags = sys.argv
    with atheris.instrument_imports(include=["sopchat", "sopchat_client", "sopchat_grader"]):
        from tests.faults.fuzz.targets import targets

        check = targets(subject)[name].check
    count, next_look = 0, 1024

    def test_one_input(data: bytes) -> None:
        nonlocal count, next_look
        check(data)
        count += 1
        if count == next_look:
            next_look *= 2
            gc.collect()
            print(count, sys.getallocatedblocks(), flush=True)

    atheris.Setup([program, *flags], test_one_input)
    atheris.Fuzz()


main()
