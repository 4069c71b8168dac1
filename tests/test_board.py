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
    assert board.said() == ("starting", [])


def test_of_what_a_worker_prints_the_last_line_is_shown_and_of_its_warnings_every_one_once(tmp_path):
    board = boards.Board(str(ROOT), str(tmp_path))
    for who in ("0-0", "0-1"):
        boards.Telling(board.tell, 0).write("first\nsecond\n")
        with boards.Telling(board.warn, 0, all_of_it=True) as stderr:
            print(f"/tmp/workbench-worker-{who[-1]}abc/pipeline/nn.py:3: it is", "near zero", file=stderr)
            print("\nand slow", who, file=stderr)
            stderr.write("no end of line")
    assert board.said() == ("second", ["pipeline/nn.py:3: it is near zero", "and slow 0-0", "no end of line", "and slow 0-1"])


def test_a_free_slot_helps_the_seed_with_the_fewest_at_it():
    assert boards.helped([3, 5], {}, {3: 0, 5: 0}, [], True) == 3
    assert boards.helped([3, 5], {}, {3: 1, 5: 0}, [3], True) == 5
    assert boards.helped([3, 5], {}, {3: 1, 5: 1}, [3, 5], True) == 3
    assert boards.helped([3, 5], {3}, {3: 2, 5: 1}, [5], True) == 5  # the slots of a finished seed go to the other one
    assert boards.helped([3, 5], {3, 5}, {3: 2, 5: 1}, [], True) is None
    assert boards.helped([3, 5], {3}, {3: 1, 5: 1}, [5], False) is None  # undivided, a second task would do the same again
    assert boards.helped([3, 5], {}, {3: 1, 5: 0}, [3], False) == 5
