"""Several processes that share the work of a stage: each part has one maker, and another where that one is gone."""

import numpy as np

from pipeline.params import ROOT
from stages import board as boards


def test_a_part_has_one_maker_until_it_is_gone(tmp_path, monkeypatch):
    board = boards.Board(str(ROOT), str(tmp_path))

    def ask(name: str, *arguments):
        return getattr(board, name)(*arguments)

    first, second = (boards.Shared(ask, 0, who) for who in ("0", "1"))
    assert first.claim("part-0") and not second.claim("part-0") and second.claim("part-1")
    second["part-1"] = {"x": np.arange(3.0)}
    np.testing.assert_array_equal(first.get("part-1")["x"], np.arange(3.0))
    assert first.get("part-0") is None and not second.claim("part-0")
    boards.Shared(ask, 0, "0")  # its task has begun again, and has not come to this part yet
    assert second.claim("part-0") and not first.claim("part-0")
    assert not first.claim("part-0")
    monkeypatch.setattr(boards, "PATIENCE", 0.0)
    monkeypatch.setattr(boards, "LEAST", 0.0)
    assert first.claim("part-0")  # which may have happened to the second one
    assert board.said() == "2 workers: starting"


def test_of_what_a_worker_prints_the_last_line_is_shown_and_of_its_warnings_every_one_once(tmp_path):
    board = boards.Board(str(ROOT), str(tmp_path))
    for who in ("0-0", "0-1"):
        boards.Telling(board.tell, 0).write("first\nsecond\n")
        stderr = boards.Telling(board.warn, 0, all_of_it=True)
        print("it is", "near zero", file=stderr)
        print("\nand slow", who, file=stderr)
        stderr.write("half a line")
    assert board.said() == "0 workers: second"
    assert board.warnings(0) == ["it is near zero", "and slow 0-0", "and slow 0-1"]
    assert board.warnings(2) == ["and slow 0-1"]
