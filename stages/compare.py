"""Writes the page of all runs, what they were to gain over each other, and three tables for `dvc plots`."""

import pandas as pd

import stages
from pipeline import notebook, params, store
from pipeline.figures import index, paired


def probabilities(runs: dict) -> list[dict]:
    """Evidence of runs with a probability: neither a density's nats nor a squared error may share an axis with theirs."""
    rows = [{"run": run, **store.read_json(store.result(run, "evidence.json"))} for run in runs]
    return [row for row in rows if row.get("measure") == "mass"]


def curves(runs: dict) -> pd.DataFrame:
    """The validation loss of each run's first seed; of several phases the last, whose loss is the model's.

    Without models that are trained given the class: their loss is -log p(x | y), which no other one's may stand beside.
    """
    tables = [pd.DataFrame(columns=["data", "run", "epoch", "valid_loss"])]
    for row in probabilities(runs):
        if "given_class_nats" in row:
            continue
        history = pd.read_csv(store.result(row["run"], "history.csv"))
        last = history[(history.seed == history.seed.iloc[0]) & (history.phase == history.phase.iloc[-1])]
        tables.append(last.assign(data=row["data"], run=row["run"])[tables[0].columns])
    return pd.concat(tables[1:] or tables)


def nlls(runs: dict) -> pd.DataFrame:
    return pd.DataFrame(probabilities(runs), columns=["run", "data", "nll_nats", "nll_low", "nll_high", "estimator"])


def compare() -> None:
    runs = params.read()["runs"]
    page = notebook.render("compare", "index", title="All runs")
    evidence = {run: store.read_json(store.result(run, "evidence.json")) for run in runs}
    likelihoods = {run: pd.read_csv(store.likelihood(run)) for run in runs}
    plots = store.ROOT / "reports" / "plots"
    store.write_csv(plots / "curves.csv", curves(runs))
    store.write_csv(plots / "nll.csv", nlls(runs))
    store.write_csv(plots / "paired.csv", paired.pairs(index.groups(runs, evidence), likelihoods))
    store.write_csv(store.GAINS, paired.gains(runs, likelihoods))
    with store.writing(store.page("index")) as temporary:
        temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    stages.run(compare)
