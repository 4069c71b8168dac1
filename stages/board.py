"""What is finished of a stage, shared by several processes that do its work, each those parts that it claims."""

import io
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

PATIENCE, SLOWER, LEAST = 120.0, 2, 10.0  # seconds for another's part: unless known better; times the longest; at least


class Board:
    """Beside the stage's own process: what is finished, who is at what, and what the workers say."""

    def __init__(self, root: str, finished: str):
        sys.path.insert(0, root)
        from pipeline.store import Finished

        self.of = lambda seed: Finished(Path(finished) / str(seed))
        self.claims, self.lines, self.warned = {}, {}, {}

    def arrive(self, who: str) -> None:
        """A worker begins, perhaps instead of one that died."""
        self.claims = {part: claimant for part, claimant in self.claims.items() if claimant != who}

    def get(self, seed: int, name: str) -> dict | None:
        return self.of(seed).get(name)

    def put(self, seed: int, name: str, arrays: dict) -> None:
        self.of(seed)[name] = arrays
        self.claims.pop((seed, name), None)

    def claim(self, seed: int, name: str, who: str) -> bool:
        return self.claims.setdefault((seed, name), who) == who

    def tell(self, seed: int, line: str) -> None:
        self.lines[seed] = line

    def warn(self, seed: int, line: str) -> None:
        self.warned.setdefault(re.sub(r"\S*workbench-worker-\w+/", "", line))  # a folder of the worker's own

    def said(self) -> tuple[str, list[str]]:
        """How far the seeds are, and all warnings, each once though every worker may have said it."""
        return "; ".join(self.lines[seed] for seed in sorted(self.lines)) or "starting", [*self.warned]


def helped(seeds: list[int], found, began: dict[int, int], running: list[int], divisible: bool) -> int | None:
    """Whose work a free slot does next: that of the unfinished seed with the fewest at it; undivided work has one."""
    left = [seed for seed in seeds if seed not in found and (divisible or not began[seed])]
    return min(left, key=running.count) if left else None


class Shared:
    """What is finished of a seed, on the board: what a stage asks of store.Finished, and who makes what."""

    def __init__(self, ask: Callable, seed: int, who: str):
        self.ask, self.seed, self.who, self.longest = ask, seed, who, {}  # seconds by kind of part
        self.began, self.waited = {}, {}  # since when parts are made here, and by others
        self.ask("arrive", who)

    def claim(self, name: str) -> bool:
        """Whether this process is to make a part."""
        now, kind = time.monotonic(), name.rpartition("-")[0]
        patience = max(LEAST, SLOWER * self.longest.get(kind, PATIENCE / SLOWER))
        if self.ask("claim", self.seed, name, self.who) or now - self.waited.get(name, now) > patience:
            self.began[name] = now
            return True
        if name in self.waited:  # all others have been asked for since
            time.sleep(0.05)
        self.waited.setdefault(name, now)
        return False

    def get(self, name: str) -> dict | None:
        return self.ask("get", self.seed, name)

    __getitem__ = get

    def __setitem__(self, name: str, arrays: dict) -> None:
        if name in self.began:
            took, kind = time.monotonic() - self.began.pop(name), name.rpartition("-")[0]
            self.longest[kind] = max(took, self.longest.get(kind, 0.0))
        self.ask("put", self.seed, name, {key: np.asarray(value) for key, value in arrays.items()})


class Telling(io.TextIOBase):
    """What a worker prints: the stage's own process shows the last line, or with `all_of_it` every line."""

    def __init__(self, tell: Callable, seed: int, all_of_it: bool = False):
        self.tell, self.seed, self.all_of_it, self.due, self.begun = tell, seed, all_of_it, 0.0, ""

    def close(self) -> None:
        if self.begun:
            self.write("\n")
        super().close()

    def write(self, text: str) -> int:
        *lines, self.begun = (self.begun + text).split("\n")
        whole = [line.strip() for line in lines if line.strip()]
        if self.all_of_it:
            for line in whole:
                self.tell(self.seed, line)
        elif whole and time.monotonic() > self.due:
            self.tell(self.seed, whole[-1])
            self.due = time.monotonic() + 0.2
        return len(text)
