"""What each stage took when it last ran here, from the start of Python to the end: python -m tools.time"""

import re

from pipeline import Refusal, params
from stages import ROOT, TIMES, run

WIDTH = 40  # of a bar, in characters


def stages() -> dict[str, list[str]]:
    """DVC's names of all stages of dvc.yaml by their kind, the part before the @."""
    settings, found = params.read(), {}
    for kind, body in params.read(ROOT / "dvc.yaml")["stages"].items():
        blocks = settings.get(re.sub(r"\W", "", body["foreach"])) or {} if "foreach" in body else None
        found[kind] = [kind] if blocks is None else [f"{kind}@{key}" for key in blocks]
    return found


def seconds() -> dict[str, float]:
    """By stage; the last line of each counts."""
    try:
        lines = TIMES.read_text(encoding="utf-8").splitlines() if TIMES.exists() else []
        return {name: float(took) for name, took in (line.split() for line in lines)}
    except (OSError, ValueError) as error:
        raise Refusal(f"{TIMES}: cannot be read ({error}); remove it, and the next run starts it anew") from None


def cell(name: str, took: dict[str, float], recorded: set[str]) -> str:
    """What DVC's record has although it never ran here came from DVC's cache."""
    return f"{took[name]:.1f}" if name in took else "cache" if name in recorded else "-"


def rows(kinds: dict[str, list[str]], took: dict[str, float], recorded: set[str]) -> list[str]:
    """A line per run or data set, a column per kind of stage, then their sums."""
    table = [("", *kinds, "sum")]
    for names in zip(*kinds.values(), strict=True):
        total = sum(took.get(name, 0) for name in names)
        key = names[0].partition("@")[2]
        table.append((key, *(cell(name, took, recorded) for name in names), f"{total:.1f}"))
    wide = max(len(row[0]) for row in table)
    return [row[0].ljust(wide) + "".join(each.rjust(10) for each in row[1:]) for row in table]


def bars(kinds: dict[str, list[str]], took: dict[str, float]) -> list[str]:
    """A line per kind of stage, the longest first, and the total."""
    sums = {kind: sum(took.get(name, 0) for name in names) for kind, names in kinds.items()}
    total = sum(sums.values())
    lines = []
    for kind in sorted(sums, key=sums.get, reverse=True):
        share = sums[kind] / total if total else 0
        lines.append(f"{kind:<10}{sums[kind]:>10.1f}{share:>6.0%}  {'#' * round(WIDTH * share)}".rstrip())
    return [*lines, f"{'total':<10}{total:>10.1f}"]


def time() -> None:
    kinds, took, lock = stages(), seconds(), ROOT / "dvc.lock"
    recorded = set(params.read(lock).get("stages") or {}) if lock.exists() else set()
    groups = {}  # kinds of stages that there is one of for each of the same names
    for kind, names in kinds.items():
        if "@" in "".join(names):
            groups.setdefault(tuple(name.partition("@")[2] for name in names), {})[kind] = names
    print("Seconds that each stage took when it last ran here, with the start of Python, without DVC's own work")
    for group in groups.values():
        print("", *rows(group, took, recorded), sep="\n")
    print("", *bars(kinds, took), sep="\n")
    names = [name for each in kinds.values() for name in each]
    cached = [name for name in names if cell(name, took, recorded) == "cache"]
    if cached:
        print(f"\ncache: {len(cached)} of {len(names)} stages came from DVC's cache, no run of theirs is on record here")


if __name__ == "__main__":
    run(time)
