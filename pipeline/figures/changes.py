"""What changed between two states of the project: parameters, results, differences on the same images, pictures."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import params, store
from pipeline.figures import paired, pictures
from pipeline.figures.index import plural
from pipeline.figures.parts import flat
from pipeline.figures.style import DOTS, GREEN, INK, MUTED, VERMILLION, WIDTH, Figure, interval
from pipeline.figures.words import count, kind, nats

NONE = "–"
RESULTS = ("evidence", "training", "representation")
COLUMNS = 10  # images of a row


class State:
    """What a folder laid out like the project holds: settings, results by run, hashes by path, and where arrays lie."""

    def __init__(self, root: Path):
        self.root = root
        self.settings = params.read(self.root / "params.yaml")
        self.results: dict[str, dict] = {}
        lock = params.read(self.root / "dvc.lock") if (self.root / "dvc.lock").exists() else {}
        outs = (out for stage in (lock.get("stages") or {}).values() for out in stage.get("outs", ()))
        self.hashes = {out["path"]: out["md5"] for out in outs}
        for run in self.settings["runs"]:
            files = [self.root / store.result(run, f"{name}.json").relative_to(store.ROOT) for name in RESULTS]
            if all(file.exists() for file in files):
                self.results[run] = {key: value for file in files for key, value in store.read_json(file).items()}

    def likelihood(self, run: str) -> pd.DataFrame | None:
        path = self.root / store.likelihood(run).relative_to(store.ROOT)
        return pd.read_csv(path) if path.exists() else None

    def pictures(self, run: str) -> tuple[str, np.ndarray] | None:
        """What the run draws or, where it cannot, what it reconstructs, and which of the two."""
        path = self.root / store.gallery(run).relative_to(store.ROOT)
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as gallery:
            return next(((name, gallery[name]) for name in ("samples", "reconstructions") if name in gallery), None)


def headline(revision: str, settings: list[dict], before: State, now: State) -> list[str]:
    new, gone = ([run for run in a.results if run not in b.results] for a, b in ((now, before), (before, now)))
    others = [run for run in now.results if run in before.results and nll(now, run) != nll(before, run)]
    changed = f"**{plural(len(settings), 'parameter')}** and the NLL of **{plural(len(others), 'run')}**"
    said = [f"Since {revision} {changed} changed."]
    lists = [f"{what}: {', '.join(runs)}." for what, runs in (("New runs", new), ("Runs that are gone", gone)) if runs]
    return [*said, *lists]


def nll(state: State, run: str) -> float | None:
    return state.results[run].get("nll_nats")


def written(value) -> str:
    return NONE if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def rows(before: dict, now: dict, first: str) -> list[dict]:
    """The keys of two nested dicts that differ."""
    a, b = flat(before), flat(now)
    keys = [key for key in dict.fromkeys([*a, *b]) if a.get(key) != b.get(key) or (key in a) != (key in b)]
    return [{first: key, "before": written(a.get(key)), "now": written(b.get(key))} for key in keys]


def metrics(before: State, now: State) -> list[dict]:
    """Every number of a run that both have and that differs."""
    table = []
    for run in (name for name in now.results if name in before.results):
        for row in rows(before.results[run], now.results[run], "number"):
            a, b = (state.results[run].get(row["number"]) for state in (before, now))
            numbers = all(isinstance(value, int | float) for value in (a, b))
            table.append({"run": run, **row, "change": f"{b - a:+.4g}".replace("-", "−") if numbers else ""})
    return table


def differences(before: State, now: State) -> tuple[pd.DataFrame, dict[str, str]]:
    """NLL now less before, image by image; and of the runs whose NLL changed but cannot be paired, why."""
    found, left = [], {}
    for run, one in now.results.items():
        other = before.results.get(run)
        if other is None or nll(now, run) == nll(before, run):
            continue
        if why := unlike(before, now, run):
            left[run] = why
            continue
        row = paired.between(*(paired.by_image(state.likelihood(run)) for state in (now, before)))
        found.append({"run": run, "before": other["nll_nats"], "now": one["nll_nats"], **row})
    return pd.DataFrame(found, columns=["run", "before", "now", *paired.COLUMNS[4:]]), left


def unlike(before: State, now: State, run: str) -> str | None:
    """Why a difference would not be the model's, image by image."""
    one, other = now.results[run], before.results[run]
    if "none" in (kind(one), kind(other)):
        return "one side has no NLL"
    if one["measure"] != other["measure"]:
        return "a density is not a probability"
    if one["estimator"] != other["estimator"]:
        return f"its estimator was {other['estimator']} and is {one['estimator']} now"
    data = f"data/{one['data']}"
    if one["data"] != other["data"] or before.hashes.get(data) != now.hashes.get(data):
        return "its data changed"
    missing = [name for name, state in (("then", before), ("now", now)) if state.likelihood(run) is None]
    return f"its images' likelihoods are not at hand ({' and '.join(missing)})" if missing else None


def chart(found: pd.DataFrame):
    """A row per run: the difference with its 95 % interval, left of the line where it is better now."""
    row, foot = 0.5, 0.5
    height = foot + row * len(found)
    figure = Figure((WIDTH, height))
    axes = figure.add_axes((0, foot / height, 1, row * len(found) / height))
    for y, one in enumerate(found[::-1].itertuples()):
        tone = (GREEN if one.difference_nats < 0 else VERMILLION) if paired.clear(one) else MUTED
        said = f"{one.difference_nats:+.2f}".replace("-", "−")
        interval(axes, y, one.run, said, (one.low, one.difference_nats, one.high), tone)
    axes.axvline(0, color=INK, linewidth=1, linestyle=DOTS, zorder=0)
    axes.set_ylim(-0.6, len(found) - 0.4)
    axes.set_yticks([])
    axes.margins(x=0.08)
    axes.set_xlabel("test NLL now less before, nats per image; left is better")
    clear = found[(found.low > 0) | (found.high < 0)]
    better, worse = (list(clear.run[clear.difference_nats * sign > 0]) for sign in (-1, 1))
    said = [f"{what} now: {', '.join(names)}." for what, names in (("Better", better), ("Worse", worse)) if names]
    if len(clear) < len(found):
        said.append(f"{len(found) - len(clear)} of {len(found)} differ by no more than chance explains.")
    text = f"{' '.join(said)} Bars: 95 % of the difference, over the same test images then and now."
    return figure, "Difference in test NLL between then and now, by run", text


def table(found: pd.DataFrame) -> list[dict]:
    return [
        {
            "run": one.run,
            "NLL before": nats(one.before),
            "now": nats(one.now),
            "difference": f"{one.difference_nats:+.2f} ± {one.se:.2f}".replace("-", "−"),
            "images": count(one.images),
        }
        for one in found.itertuples()
    ]


def strips(before: State, now: State, run: str):
    """The first images of a run, then and now; None where they are the same, or no match, or one side is not at hand."""
    sides = before.pictures(run), now.pictures(run)
    if any(side is None for side in sides) or sides[0][0] != sides[1][0]:
        return None
    a, b = (np.asarray(side[1][:COLUMNS], np.float64) for side in sides)
    if np.array_equal(a, b):
        return None
    top = max(1.0, a.max(), b.max())  # of the levels, or of values that are real
    levels = round(top) + 1 if min(a.min(), b.min()) >= 0 else None
    figure = pictures.strips([(f"{run}, before", a), (f"{run}, now", b)], levels, COLUMNS)
    if a.shape == b.shape:
        apart = float(np.sqrt(np.mean(np.square(a - b)))) / top
        text = f"The first {len(a)} {sides[0][0]}: in the root mean square they differ by {apart:.3f} of the largest value."
    else:
        text = "The images are of another size now."
    return figure, f"Images of {run} before and now", text
