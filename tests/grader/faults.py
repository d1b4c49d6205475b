"""The grader is graded: specimens with a planted fault each, and the check that must find it.

As a command it grades every specimen with all checks, and compares the table in docs/grader.md
with what came out, or writes it there with `--write`.
"""

import argparse
import concurrent.futures
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import attrs

SPECIMENS = Path(__file__).parent / "specimens"
DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "grader.md"
GRADE = str(Path(sys.executable).parent / "sop-chat-grade")
START, END = "<!-- faults -->\n", "<!-- end of faults -->\n"

# Fault and check, by exercise.
FAULTS = {
    "frame": {
        "listens-elsewhere": "1.1",
        "greets": "1.2",
        "first-status": "1.3",
        "hides-the-key": "2.1",
        "hides-key-in-answer": "2.2",
        "skips-the-third": "2.3",
        "reads-six": "2.4",
        "answers-wrong-keys": "2.5",
        "prefix-key": "2.6",
        "long-key": "2.6",
        "case-key": "2.6",
        "number-key": "2.6",
        "trimmed-key": "2.6",
        "one-member": "3.1",
        "relays-strings": "3.2",
        "echoes-to-sender": "3.3",
        "reaches-two": "3.4",
        "hides-messages": "3.5",
        "five-members": "3.6",
        "fifth-ousts-one": "3.7",
        "swaps-frames": "3.8",
        "wrong-key-harms": "3.9",
        "wrong-keys-take-places": "3.10",
        "sigint-idle-status": "4.1",
        "sigint-members-status": "4.2",
        "leaves-a-child": "4.3",
        "keeps-places": "4.4",
        "forgets-the-first": "4.5",
        "dies-of-sigpipe": "4.6",
        "ends-on-reset": "4.7",
        "leaks-descriptors": "4.8",
        "drops-small-pieces": "R.1",
        "drops-what-follows": "R.2",
        "blocks-in-authentication": "R.3",
        "waits-for-the-first-byte": "R.4",
        "blocks-in-frames": "R.5",
        "relays-half-frames": "R.6",
        "shows-again": "R.7",
        "blocking-sends": "R.8",
        "early-departure-ends": "R.9",
        "short-names": "R.10",
        "wipes-behind-nul": "R.11",
        "strangers-hear": "R.12",
        "sigint-half-frame-status": "R.13",
        "spins": "R.14",
        "address-in-use-after-end": "R.15",
        "silent-on-wrong-use": "R.16",
        "silent-on-busy-port": "R.17",
        "leaks-memory": "R.18",
        "reads-beyond": "R.19",
        "writes-a-file": "R.20",
    },
    "line": {
        "listens-elsewhere": "1.1",
        "wrong-max": "1.2",
        "numbers-clients": "1.3",
        "counts-wrong": "1.4",
        "no-blank-at-the-end": "1.5",
        "max-never-falls": "1.6",
        "changes-line-ends": "2.1",
        "relays-late": "2.2",
        "echoes-to-sender": "2.3",
        "cuts-long-reads": "2.4",
        "ends-at-nul": "2.5",
        "forgets-the-first": "2.6",
        "spins": "2.7",
        "silent-on-sigint": "3.1",
        "usage-on-stderr": "3.2",
        "silent-on-busy-port": "3.3",
        "ends-on-reset": "3.4",
    },
    "talk": {
        "listens-elsewhere": "1.1",
        "no-long-option": "1.2",
        "other-default-port": "1.3",
        "greets-with-newline": "1.4",
        "never-verbose": "1.5",
        "always-verbose": "1.5",
        "shouts": "2.1",
        "echoes-to-sender": "2.2",
        "counts-one-client": "2.3",
        "who-only-alone": "2.4",
        "tells-everybody": "2.5",
        "unknown-unmarked": "2.6",
        "keeps-the-first-name": "2.7",
        "counts-the-gone": "2.8",
        "traceback-on-reset": "3.1",
        "traceback-on-busy-port": "3.2",
        "traceback-on-control-c": "3.3",
    },
}


@attrs.frozen
class Specimens:
    """The specimens, compiled into a folder."""

    folder: Path

    @classmethod
    def compile(cls, compiler: str, folder: Path) -> "Specimens":
        """Compile those that need it."""
        for source in sorted(SPECIMENS.glob("*.c")):
            program = folder / source.stem
            flags = ["-O1", "-g", "-Wall", "-Wextra", "-Werror"]
            subprocess.run([compiler, *flags, "-o", program, source], check=True)
        return cls(folder)

    def command(self, exercise: str, fault: str = "") -> list[str]:
        """The command that starts one, with the grader's placeholders."""
        mistake = ["--fault", fault] if fault else []
        if exercise == "talk":
            return [sys.executable, str(SPECIMENS / "talk.py"), *mistake]
        staged = ["--stage", "{stage}"] if exercise == "frame" else []
        return [str(self.folder / exercise), *staged, *mistake, "{arguments}"]

    def verdicts(
        self, exercise: str, fault: str, *options: str
    ) -> tuple[dict[str, str], subprocess.CompletedProcess[str]]:
        """Grade one: the status of each check, and how the grader ended."""
        given = ["--exercise", exercise, "--json", "-", *options]
        if fault == "reads-beyond":  # one that AddressSanitizer alone sees
            given += ["--source", str(SPECIMENS / "reads_beyond.c")]
        done = subprocess.run(
            [GRADE, *given, "--", *self.command(exercise, fault)], capture_output=True, text=True
        )
        found = json.loads(done.stdout)["checks"] if done.stdout else []
        return {check["id"]: check["status"] for check in found}, done


def table(specimens: Specimens, jobs: int) -> tuple[list[str], bool]:
    """A line for each fault, and whether every one was found by its check and by no other."""
    pairs = [
        (exercise, fault, check)
        for exercise, faults in FAULTS.items()
        for fault, check in faults.items()
    ]
    lines = ["| exercise | fault | check | verdict |", "| --- | --- | --- | --- |"]
    right = True
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        gradings = [
            pool.submit(specimens.verdicts, exercise, fault, "--jobs", "2")
            for exercise, fault, _ in pairs
        ]
        for (exercise, fault, check), grading in zip(pairs, gradings, strict=True):
            verdicts, _ = grading.result()
            failed = [
                name
                for name, status in verdicts.items()
                if status not in ("passed", "not_assessed")
            ]
            right = right and failed == [check] and verdicts[check] == "failed"
            told = ", ".join(f"{name} {verdicts[name]}" for name in failed) or "not found"
            lines.append(f"| {exercise} | `{fault}` | {check} | {told} |")
    return lines, right


def main() -> int:
    """Make the table; 1 if a fault is not found exactly, or the document says otherwise."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write it into {DOCUMENT.name}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lines, right = table(Specimens.compile("cc", Path(folder)), jobs=3)
    text = "".join(f"{line}\n" for line in lines)
    print(text, end="")
    document = DOCUMENT.read_text()
    before, _, rest = document.partition(START)
    said, _, after = rest.partition(END)
    if options.write:
        DOCUMENT.write_text(f"{before}{START}{text}{END}{after}")
    elif said != text:
        print(f"{DOCUMENT.name} says otherwise; --write puts this there", file=sys.stderr)
        return 1
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
