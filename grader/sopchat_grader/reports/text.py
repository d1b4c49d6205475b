"""The evidence as lines of text, for every report that shows some."""

from sopchat_grader.result import Result


def story(result: Result) -> list[str]:
    """Why a check did not pass: everything that helps to find the fault."""
    outcome, evidence = result.outcome, result.outcome.evidence
    if outcome.status == "not_assessed":
        return [f"not assessed because {outcome.because}"]
    lines = [
        f"{title}: {text}"
        for title, text in (
            ("because", outcome.because),
            ("expected", outcome.expected),
            ("seen", outcome.seen),
        )
        if text
    ]
    lines += [f"  {line}" for line in evidence.difference]
    if evidence.transcript:
        lines.append("transcript (seconds, who, -> to the program, <- from it):")
        lines += [f"  {line}" for line in evidence.transcript]
    for stream, text in evidence.console.items():
        if text:
            lines.append(f"the end of {stream}:")
            lines += [f"  | {line}" for line in text.rstrip("\n").split("\n")]
    if evidence.ending:
        lines.append(f"the program {evidence.ending}")
    if outcome.status != "passed":
        lines.append(f"again: {result.rerun}")
    return lines
