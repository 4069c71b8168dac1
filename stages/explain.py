"""Writes the page of the calibration, from what it left."""

import stages
from pipeline import notebook, store


def explain() -> None:
    content = notebook.render("calibration", "calibration", title="Calibration")
    with store.writing(store.page("calibration")) as temporary:
        temporary.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    stages.run(explain)
