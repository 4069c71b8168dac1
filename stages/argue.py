"""Writes the page of what is claimed, from what measuring it left."""

import stages
from pipeline import notebook, params, store


def argue(claims: str) -> None:
    params.block(params.read(), "claims", claims)
    page = f"claims-{claims}"
    content = notebook.render("claims", page, title=f"claims: {claims}", claims=claims)
    with store.writing(store.page(page)) as temporary:
        temporary.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    stages.run(argue, "claims")
