"""The figures as pictures: bars for what people ask first, and curves for growing rooms."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.peers import PEERS
from benchmarks.report import Results, shown
from benchmarks.workloads import Workload

OWN, OTHER = "#0b6e99", "#b8c4cc"
LINES = {"fast C relay": "#6b7a85", "NATS": "#d9822b", "sop-chat, quiet": OWN}

# Title of the workload, and what a person reads above the bars.
BARS = (
    ("4 flooding one another", "Four members flooding: frames delivered per second"),
    ("1 flooding 1,000", "One flooding a thousand: frames delivered per second"),
    ("one frame to 3, p50", "One frame to three members: delay"),
    ("living room of 100, p99", "A hundred talking: delay that 1 % exceed"),
    ("joins", "Members joining per second"),
    ("memory per idle connection", "Memory for an idle member"),
)


def draw(folder: Path, planned: Sequence[Workload], results: Results) -> None:
    """Write performance.svg and .png, growth.svg and .png."""
    folder.mkdir(parents=True, exist_ok=True)
    pyplot.switch_backend("svg")
    pyplot.rcParams.update({"svg.hashsalt": "sop-chat", "font.size": 9})
    units = {workload.title: workload.unit for workload in planned}
    figure, panels = pyplot.subplots(3, 2, figsize=(11, 8.5))
    for axes, (title, words) in zip(panels.flat, BARS, strict=True):
        if title not in results:
            axes.set_axis_off()
            continue
        _bars(axes, words, units[title], {
            peer.name: outcome.median
            for peer in PEERS
            if (outcome := results.get(title, {}).get(peer.name)) and not outcome.fault
        })  # fmt: skip
    _save(figure, folder / "performance")
    figure, (delay, rate) = pyplot.subplots(1, 2, figsize=(11, 4))
    _curve(delay, "One frame to all others: delay, p50", "us", planned, results)
    _curve(rate, "One flooding all others: frames delivered per second", "/s", planned, results)
    _save(figure, folder / "growth")


def _bars(axes: Axes, words: str, unit: str, values: dict[str, float]) -> None:
    names = list(values)[::-1]
    colours = [OWN if name.startswith("sop-chat") else OTHER for name in names]
    bars = axes.barh(names, [values[name] for name in names], color=colours)
    axes.bar_label(bars, [f" {shown(values[name], unit)}" for name in names])
    axes.set_title(words, loc="left", fontweight="bold", fontsize=10)
    axes.set_xlim(0, max(values.values(), default=1) * 1.2)
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)


def _curve(
    axes: Axes, words: str, unit: str, planned: Sequence[Workload], results: Results
) -> None:
    points = [workload for workload in planned if workload.size and workload.unit == unit]
    for name, colour in LINES.items():
        known = [
            (workload.size, outcome.median)
            for workload in points
            if (outcome := results.get(workload.title, {}).get(name)) and not outcome.fault
        ]
        if known:
            axes.plot(*zip(*known, strict=True), marker="o", color=colour, label=name)
    axes.set(xscale="log", yscale="log", xlabel="members")
    axes.set_xticks(sizes := [workload.size for workload in points], map("{:,}".format, sizes))
    axes.xaxis.minorticks_off()
    axes.yaxis.set_major_formatter(lambda value, _: shown(value, unit))
    axes.yaxis.minorticks_off()
    axes.set_title(words, loc="left", fontweight="bold", fontsize=10)
    axes.grid(axis="y", color="#e5e9ec")
    axes.spines[["top", "right"]].set_visible(False)
    if axes.lines:
        axes.legend(frameon=False)


def _save(figure: Figure, name: Path) -> None:
    figure.tight_layout()
    figure.savefig(name.with_suffix(".svg"), metadata={"Date": None})
    figure.savefig(name.with_suffix(".png"), dpi=110)
    pyplot.close(figure)
