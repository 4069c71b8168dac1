"""The systems of docs/systems.csv: which of them have a run here, what each says of p(x), and which are open."""

from html import escape

import pandas as pd
from IPython.display import HTML

from pipeline.figures.parts import link
from pipeline.figures.words import nats


def shown(runs: dict) -> dict[str, list[str]]:
    """The runs that show a system, by its id."""
    found = {}
    for run, chosen in runs.items():
        for system in chosen.get("systems") or []:
            found.setdefault(system, []).append(run)
    return found


def headline(systems: pd.DataFrame, runs: dict) -> str:
    there = shown(runs)
    return (
        f"{len(there)} of {len(systems)} systems have a run here. What a system says of p(x) is what its model declares: an "
        "exact number, one that is estimated or bounded, images without a number, or neither."
    )


def rows(systems: pd.DataFrame, runs: dict, evidence: dict[str, dict], open_ones: bool) -> list[dict]:
    """In the order of the file; a system without a run is open, and says what the file says."""
    there, table = shown(runs), []
    for row in systems.itertuples():
        mine = there.get(row.id, [])
        if bool(mine) == open_ones:
            continue
        says = list(dict.fromkeys(evidence[run]["distribution"] for run in mine)) or [row.distribution]
        table.append(
            {
                "system": row.id,
                "name": row.name,
                "by": paper(row),
                "family": row.family,
                "says of p(x)": ", or ".join(filter(None, says)),
                "runs": HTML(" ".join(link(run, f"{run}.html").data for run in mine)) if mine else "open",
            }
        )
    return table


def paper(row) -> HTML | str:
    said = ", ".join(filter(None, (row.authors, str(row.year))))
    return HTML(f'<a href="{escape(row.link)}">{escape(said)}</a>') if row.link and said else said


def gains(table: pd.DataFrame) -> list[dict]:
    """Reports/gates.csv for people."""
    return [
        {
            "run": link(row.run, f"{row.run}.html"),
            "is to be": f"{row.wanted} than {row.other}",
            "in": {"nll": "NLL", "elbo": "ELBO", "amortisation": "amortisation gap"}[row.number],
            "gain (nats)": f"{nats(row.gain_nats)} ± {nats(row.se)}",
            "95 % interval": f"{nats(row.low)} – {nats(row.high)}",
            "passed": "yes" if row.passed else "no",
        }
        for row in table.itertuples()
    ]


GAINS = (
    "Per test image, the mean difference of log p(x), of its lower bound, or of what the encoder loses: positive where the run "
    "is better; errors are those over images and over training seeds together."
)
