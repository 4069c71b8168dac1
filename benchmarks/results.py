"""What benchmarks have in common: several ways to do the same work, timed in turns; ratios, which are kept and compared.

python -m benchmarks.results compare <old results.json>: which ratios fell by more than a fifth.
python -m benchmarks.results readme: puts the table into README.md, and draws docs/benchmarks.svg.
A ratio is another's time over ours, median of the repetitions: of what does the same work, above 1 where ours is faster; of a
limit, the share of it that ours reaches.
"""

import json
import os
import platform
import sys
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter

from pipeline import Refusal
from pipeline.params import ROOT

REPEATS, FALLEN = 5, 0.8
FILE = Path(__file__).parent / "results.json"
BEGIN, END = "<!-- benchmarks -->", "<!-- end of benchmarks -->"


def seconds(function: Callable) -> float:
    started = perf_counter()
    function()
    return perf_counter() - started


def in_turns(functions: dict[str, Callable[[], float]], repeats: int = REPEATS) -> dict[str, list[float]]:
    """What each says that it took, in seconds, one after the other and all over again."""
    took = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            took[name].append(function())
    return took


def timed(functions: dict[str, Callable]) -> tuple[dict[str, list[float]], dict[str, float]]:
    """The same for functions that are timed from here, after a first call that compiles; and what that took more."""
    first = {name: seconds(function) for name, function in functions.items()}
    took = in_turns({name: lambda f=function: seconds(f) for name, function in functions.items()})
    return took, {name: max(0.0, first[name] - median(took[name])) for name in functions}


def ratios(took: dict[str, list[float]], ours: str = "ours") -> dict[str, list[float]]:
    """Of each repetition, since a machine is slow for a while and then fast again."""
    return {name: [b / a for a, b in zip(took[ours], others, strict=True)] for name, others in took.items() if name != ours}


def lines(
    case: str, took: dict[str, list[float]], start: dict[str, float], targets: dict[str, float], work: float = 0, ours="ours"
) -> list[str]:
    """A line for each way: seconds, how much of `work` that is per second, what came before the first one, such as compiling,
    the ratio with its spread, and the target."""
    found, some = ratios(took, ours), []
    for name, times in took.items():
        rate = f"{work / median(times):,.0f}" if work else ""
        line = f"{case:<16}{name:<14}{median(times):>10.4f}{rate:>11}{start.get(name, 0.0):>9.2f}"
        if name != ours:
            of = sorted(found[name])
            line += f"{median(of):>9.2f}  {f'{of[0]:.2f}-{of[-1]:.2f}':<14}"
            if name in targets:
                line += f">= {targets[name]:<8g}{'yes' if median(of) >= targets[name] else 'no'}"
        some.append(line.rstrip())
    return some


HEAD = f"{'case':<16}{'what':<14}{'seconds':>10}{'per s':>11}{'start s':>9}{'ratio':>9}  {'spread':<14}{'target':<11}met"


def report(
    benchmark: str, case: str, took, start, targets: dict[str, float] | None = None, work: float = 0, ours: str = "ours"
) -> None:
    """Print and keep it. `work`: what is done in each repetition, in images or the like."""
    targets = targets or {}
    print("\n".join(lines(case, took, start, targets, work, ours)), flush=True)
    found = {}
    for name, of in ratios(took, ours).items():
        found[f"{benchmark}.{case}.ratio_to_{name}"] = median(of)
        details = {"low": min(of), "high": max(of), "repeats": len(of)} | ({"target": targets[name]} if name in targets else {})
        details |= {"per_s": work / median(took[ours])} if work else {}
        found[f"{benchmark}.{case}.details_to_{name}"] = details | {"start_s": start.get(ours, 0.0)}
    keep(found)


def keep(found: dict) -> None:
    """Beside what other benchmarks found, each with its own date and machine; the same again is replaced."""
    before = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    versions = {name: version(name) for name in ("tensorflow", "keras", "numpy")}
    machine = {"date": date.today().isoformat(), "machine": cpu(), "cores": os.cpu_count(), "versions": versions}
    where = before.pop("_", {}) | {name.partition(".")[0]: machine for name in found}
    FILE.write_text(json.dumps({"_": where, **dict(sorted((before | found).items()))}, indent=2) + "\n", encoding="utf-8")


def cpu() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    return " ".join(names) or platform.processor() or platform.machine()


def fallen(old: dict, new: dict) -> list[str]:
    """A line for each ratio that is less than it was by more than a fifth, or is gone."""
    found = []
    for name, before in old.items():
        if ".ratio_to_" in name:
            now = new.get(name)
            if now is None:
                found.append(f"{name}: {before:.2f} -> not measured")
            elif now < FALLEN * before:
                found.append(f"{name}: {before:.2f} -> {now:.2f}, {100 * (now / before - 1):+.0f} %")
    return found


def compare(old: str) -> None:
    if not old:
        raise Refusal("OLD= names no file: make bench-compare OLD=path/to/results.json")
    try:
        before, now = (json.loads(Path(path).read_text(encoding="utf-8")) for path in (old, FILE))
    except (OSError, ValueError) as error:
        raise Refusal(f"{old}: cannot be read ({error})") from None
    if not isinstance(before, dict):
        raise Refusal(f"{old}: no results of benchmarks")
    worse = fallen(before, now)
    print("\n".join(worse) or f"none of {sum('.ratio_to_' in name for name in before)} ratios fell by more than 20 %")
    if worse:
        raise Refusal(f"{len(worse)} ratios fell by more than 20 %")


def kept() -> dict:
    if not FILE.exists():
        raise Refusal("there is no benchmarks/results.json yet: make bench")
    return json.loads(FILE.read_text(encoding="utf-8"))


def measured() -> list[tuple[str, str, float, dict]]:
    """Benchmark and case, what it is compared with, the ratio and its details."""
    every, rows = kept(), []
    for name, ratio in every.items():
        case, _, other = name.partition(".ratio_to_")
        details = every.get(f"{case}.details_to_{other}", {})
        if other:
            rows.append((case.replace(".", ", "), other, ratio, details))
    return rows


def table() -> str:
    lines = ["| what | beside | ratio | lowest to highest | asked for | per second | starts in |", "|---" * 7 + "|"]
    for case, other, ratio, by in measured():
        asked = f"{by['target']:.3g}" if "target" in by else ""
        rate = f"{by['per_s']:,.0f}" if "per_s" in by else ""
        start = f"{by['start_s']:.1f} s" if by.get("start_s") else ""
        middle, low, high = (f"{each:,.0f}" if each >= 100 else f"{each:.3g}" for each in (ratio, by["low"], by["high"]))
        lines.append(f"| {case} | {other} | {middle} | {low} to {high} | {asked} | {rate} | {start} |")
    return "\n".join(lines)


def growth() -> str:
    every, lines = kept(), ["| what grows | sizes | seconds | exponent | GB | exponent |", "|---" * 6 + "|"]
    for name, by in every.items():
        if name.startswith("growth.") and name.endswith(".details"):
            of = name.removesuffix(".details")
            sizes = "; ".join(f"{each:,}" for each in by["sizes"])
            times, gb = ("; ".join(f"{each:.2f}" for each in by[key]) for key in ("seconds", "gb"))
            slopes = [f"{every[f'{of}.{what}_exponent']:.2f}" for what in ("seconds", "memory")]
            lines.append(f"| {of.removeprefix('growth.')} | {sizes} | {times} | {slopes[0]} | {gb} | {slopes[1]} |")
    return "\n".join(lines)


def compiling() -> str:
    every, said = kept(), []
    names = {
        "tensorflow": "the default profile on TensorFlow",
        "jax": "the smoke profile on JAX (its time with all operations outside of them)",
    }
    for backend, what in names.items():
        traces, again, took = (every[f"compilation.{backend}.{key}"] for key in ("traces", "traced_again", "seconds"))
        said.append(f"{what} compiles {traces} functions in {took:.0f} s, {again or 'none'} twice")
    return f"Compiling, counted in each stage by function, model and shapes: {'; '.join(said)}."


def places(*benchmarks: str) -> list[str]:
    """When and where these, or all, were measured."""
    found: dict[str, list[str]] = {}
    for name, at in kept()["_"].items():
        versions = ", ".join(f"{package} {number}" for package, number in at["versions"].items())
        if name in benchmarks or not benchmarks:
            found.setdefault(f"{at['date']}, {at['machine']}, {at['cores']} cores, {versions}", []).append(name)
    return [f"{', '.join(names)}: {place}." for place, names in found.items()]


def plot() -> None:
    """Every ratio for which something was asked for, over that, on a scale of factors."""
    from matplotlib import rcParams
    from matplotlib.figure import Figure

    from pipeline.figures.style import BLUE, MUTED, VERMILLION

    rcParams["svg.hashsalt"] = "benchmarks"

    rows = [row for row in measured()[::-1] if "target" in row[-1]]
    figure = Figure(figsize=(7.2, 0.9 + 0.28 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for y, (_, _, ratio, by) in enumerate(rows):
        colour = BLUE if ratio >= by["target"] else VERMILLION
        axes.plot([by["low"] / by["target"], by["high"] / by["target"]], [y, y], color=colour, linewidth=1.2)
        axes.plot(ratio / by["target"], y, "o", color=colour, markersize=5)
    axes.axvline(1.0, color=MUTED, linewidth=1)
    axes.set_xscale("log")
    ticks = [0.5, 1, 2, 4]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    axes.set_yticks(range(len(rows)), [f"{case}, beside {other}" for case, other, _, _ in rows])
    axes.set_xlabel("ratio over what was asked for: right of 1 it was reached")
    figure.savefig(ROOT / "docs" / "benchmarks.svg", metadata={"Date": None})


def put(path: Path, text: str) -> None:
    """Between the two marks in a document."""
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise Refusal(f"{path.name}: the lines {BEGIN} and {END} are gone")
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def readme() -> None:
    parts = [table(), growth(), compiling(), "\n".join(places()), "![Ratios over what was asked for](docs/benchmarks.svg)"]
    put(ROOT / "README.md", "\n\n".join(parts))
    plot()


if __name__ == "__main__":
    try:
        readme() if sys.argv[1:] == ["readme"] else compare(" ".join(sys.argv[2:]))
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(2)
