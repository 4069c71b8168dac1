"""Writes the page of all runs, and two tables for `dvc plots`."""

import pandas as pd

import stages
from pipeline import notebook, params, store


def probabilities(runs: dict) -> list[dict]:
    """Evidence of runs with a probability: neither a density's nats nor a squared error may share an axis with theirs."""
    rows = [{"run": run, **store.read_json(store.result(run, "evidence.json"))} for run in runs]
    return [row for row in rows if row.get("measure") == "mass"]


def curves(runs: dict) -> pd.DataFrame:
    """The validation loss of each run's first seed."""
    tables = [pd.DataFrame(columns=["run", "epoch", "valid_loss"])]
    for row in probabilities(runs):
        history = pd.read_csv(store.result(row["run"], "history.csv"))
        tables.append(history[history.seed == history.seed.iloc[0]].assign(run=row["run"])[tables[0].columns])
    return pd.concat(tables[1:] or tables)


def nlls(runs: dict) -> pd.DataFrame:
    return pd.DataFrame(probabilities(runs), columns=["run", "data", "nll_nats", "nll_low", "nll_high", "estimator"])


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
