"""The results of all runs of params.yaml on the terminal, in 100 columns: python -m tools.table"""

import pandas as pd

from pipeline import params, store
from stages import run

COLUMNS = {  # in a result: in the table, digits
    "nll_nats": ("nll", 2),
    "nll_se": ("se", 2),
    "errs": ("errs", None),
    "bits_per_dim": ("bits/dim", 3),
    "independent_nats": ("indep.", 2),
    "floor_nats": ("floor", 2),
    "estimator": ("estimator", None),
    "reconstruction_mse": ("mse", 5),
    "probe_all": ("probe", 3),
    "valid_loss": ("valid loss", 3),
}
LEGEND = "errs: on this side of the truth; indep.: independent pixels; floor: the data's own; probe: accuracy"
ERRS = {"nll_too_high": "too high", "nll_too_low": "too low"}
HEADINGS = {  # by the measure of the number; two measures never share a column
    "mass": "Images with levels: negative log-probability of the test set, nats per image",
    "density": "Real-valued images: negative log-density of the test set, nats per image",
    None: "Without a likelihood",
    "missing": "Not scored yet",
}


def results(name: str) -> dict:
    found = {"measure": "missing"}
    for file in ("training.json", "evidence.json", "representation.json"):
        path = store.result(name, file)
        if path.exists():
            found |= ({"measure": None} if file == "evidence.json" else {}) | store.read_json(path)
    return found | {"run": name, "errs": ERRS.get(found.get("direction")), "flags": found.get("flags", "")}


def text(rows: list[dict]) -> str:
    table = pd.DataFrame(index=[row["run"] for row in rows])
    for key, (title, digits) in COLUMNS.items():
        values = [row.get(key) for row in rows]
        superfluous = key == "valid_loss" and "nll" in table
        if any(v not in (None, "none") for v in values) and not superfluous:
            table[title] = ["" if v is None else v if digits is None else f"{v:.{digits}f}" for v in values]
    return table.to_string(line_width=100) if len(table.columns) else "\n".join(table.index)


def table() -> None:
    rows = [results(name) for name in params.read()["runs"]]
    for measure, heading in HEADINGS.items():
        if chosen := [row for row in rows if row["measure"] == measure]:
            print(f"\n{heading}\n{text(chosen)}")
    print(f"\n{LEGEND}")
    for row in rows:
        if row["flags"]:
            print(f"{row['run']}: {row['flags']}")
    print(f"pages: {store.page('index')}")


if __name__ == "__main__":
    run(table)
