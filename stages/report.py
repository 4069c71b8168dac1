"""Writes the page of a run from what training, estimating and drawing left."""

import stages
from pipeline import notebook, params, store


def report(run: str) -> None:
    params.block(params.read(), "runs", run)
    page = notebook.render("run", run, title=run, run=run)
    with store.writing(store.page(run)) as temporary:
        temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    stages.run(report, "run")
