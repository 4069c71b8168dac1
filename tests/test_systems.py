"""docs/systems.csv: which systems there are, by whom, what each says of p(x), and which of them a run shows."""

import csv
import io
import re

import pytest

from pipeline import params, schema, store

COLUMNS = ["id", "name", "authors", "year", "link", "family", "distribution", "status"]
FAMILIES = ["autoencoder", "latent", "hierarchical", "quantised", "autoregressive", "flow", "adversarial", "energy"]
OTHERS = ["supervised", "structured", "learning", "evaluation"]  # what stands beside the models, or is about them
SAYS = ["explicit, exact", "explicit, approximate", "implicit", "energy", "none", ""]  # nothing, where it is no model
LETTERS = "AVHQRFGESYLXT"
TEXT = store.SYSTEMS.read_bytes().decode("utf-8")
ROWS = list(csv.DictReader(io.StringIO(TEXT, newline="")))
PROFILES = [params.ROOT / "params.yaml", *sorted((params.ROOT / "profiles").glob("*/params.yaml"))]


def shown() -> set[str]:
    runs = [run for profile in PROFILES for run in params.read(profile)["runs"].values()]
    return {system for run in runs for system in run.get("systems") or []}


def problems(rows: list[dict]) -> list[str]:
    return [f"{row['id']}: {what}" for row in rows for what in wrong(row)]


def wrong(row: dict) -> list[str]:
    """What is wrong with one row, in words."""
    found = []
    if not row["name"] or re.search(r"\d{3}:\d|\(linked|\(image|\[|brief", row["name"]) or row["name"] != row["name"].strip():
        found.append("its name")
    if row["family"] not in FAMILIES + OTHERS:
        found.append("its family")
    if row["distribution"] not in SAYS:
        found.append("what it says of p(x)")
    if row["status"] not in ("here", "open"):
        found.append("its status")
    people = row["authors"].removesuffix(" et al.").split(", ")
    if bool(row["authors"]) != bool(row["year"]) or len(people) > 3 or ("et al." in row["authors"] and len(people) < 3):
        found.append("its authors")
    if row["link"] and not (row["authors"] and re.fullmatch(r"https://[a-z0-9.]+/[^\s,]+", row["link"])):
        found.append("its link")
    if row["year"] and not 1900 < int(row["year"]) < 2030:
        found.append("its year")
    if arxiv := re.fullmatch(r"https://arxiv\.org/abs/(\d\d)(\d\d)\.\d{4,5}", row["link"]):
        first = 2000 + int(arxiv[1])
        if not (1 <= int(arxiv[2]) <= 12 and first - 1 <= int(row["year"]) <= first + 2):  # December's number may be January's
            found.append("its year, or the number of its preprint")
    elif "arxiv" in row["link"]:
        found.append("the number of its preprint")
    return found


def test_every_row_has_the_same_columns_and_only_words_that_are_known():
    assert all(list(row) == COLUMNS and None not in row.values() for row in ROWS)
    assert problems(ROWS) == []


@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        ("name", "auto-decoder (linked)", "its name"),
        ("family", "diffusion", "its family"),
        ("distribution", "exact", "what it says of p(x)"),
        ("status", "done", "its status"),
        ("authors", "A. One, B. Two, C. Three, D. Four", "its authors"),
        ("link", "http://arxiv.org/abs/1312.6114", "its link"),
        ("year", "2041", "its year"),
        ("year", "1996", "its year, or the number of its preprint"),
        ("link", "https://arxiv.org/abs/1313.6114", "its year, or the number of its preprint"),
        ("link", "https://arxiv.org/pdf/1312.6114.pdf", "the number of its preprint"),
    ],
)
def test_a_row_that_is_wrong_is_found(column, value, what):
    (vae,) = [row for row in ROWS if row["id"] == "V1"]
    assert f"V1: {what}" in problems([vae | {column: value}])


def test_ids_are_unique_and_in_order_and_are_read_alike_by_what_checks_params():
    ids = [row["id"] for row in ROWS]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(f"[{LETTERS}][1-9][0-9]?", each) for each in ids)
    assert ids == sorted(ids, key=lambda each: (LETTERS.index(each[0]), int(each[1:])))
    assert schema.systems() == ids


def test_the_file_is_written_as_csv_is():
    written = io.StringIO()
    table = csv.DictWriter(written, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(ROWS)
    assert written.getvalue() == TEXT


def test_what_a_run_shows_is_a_row_and_the_rows_that_none_shows_are_open():
    assert shown() <= {row["id"] for row in ROWS}
    assert {row["id"] for row in ROWS if row["status"] == "here"} == shown()


def test_one_paper_is_called_the_same_wherever_it_is_cited():
    by_link = {}
    for row in ROWS:
        if row["link"]:
            by_link.setdefault(row["link"], set()).add((row["authors"], row["year"]))
    assert {link: told for link, told in by_link.items() if len(told) > 1} == {}
