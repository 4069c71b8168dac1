"""Writes the page of all runs, and two tables for `dvc plots`."""

import pandas as pd

import stages
from pipeline import notebook, params, store


def curves(runs: dict) -> pd.DataFrame:
    """The validation loss of each run's first seed."""
    tables = []
    for run in runs:
        history = pd.read_csv(store.result(run, "history.csv"))
        tables.append(history[history.seed == history.seed.iloc[0]][["epoch", "valid_loss"]].assign(run=run))
    return pd.concat(tables)[["run", "epoch", "valid_loss"]]


def nlls(runs: dict) -> pd.DataFrame:
    """Probabilities only: a density's nats must not share an axis with them, and a plot of DVC's has one axis."""
    rows = [{"run": run, **store.read_json(store.result(run, "evidence.json"))} for run in runs]
    columns = ["run", "data", "nll_nats", "nll_low", "nll_high", "estimator"]
    return pd.DataFrame([row for row in rows if row.get("measure") == "mass"], columns=columns)


def compare() -> None:
    runs = params.read()["runs"]
    page = notebook.render("compare", "index", title="All runs")
    plots = store.ROOT / "reports" / "plots"
    store.write_csv(plots / "curves.csv", curves(runs))
    store.write_csv(plots / "nll.csv", nlls(runs))
    with store.writing(store.page("index")) as temporary:
        temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    stages.run(compare)
