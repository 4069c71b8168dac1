"""Writes the page of a data set."""

import stages
from pipeline import notebook, store


def describe(data: str) -> None:
    name = f"data-{data}"
    page = notebook.render("data", name, title=f"data: {data}", data=data)
    with store.writing(store.page(name)) as temporary:
        temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    stages.run(describe, "data")
