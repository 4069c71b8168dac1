"""Images in tiles of one size: one shape is compiled, and what is finished need not be done again."""

import time
from collections import deque
from collections.abc import Callable, MutableMapping

import numpy as np

Kept = MutableMapping[str, dict[str, np.ndarray]]  # finished tiles by name; a folder, so that they outlive the process


def silent(done: int, left: float) -> None:
    """No progress is shown."""


def tiles(name: str, count: int, size: int, compute: Callable, kept: Kept, progress=silent) -> dict[str, np.ndarray]:
    """compute(indices [size]) -> {what: an array with a row for each}, joined over `count` images.

    `size` may depend on the model, never on how many images there are: so an image's numbers do not depend on who else is
    scored. The last tile is filled up with the last image, and these rows are dropped, so that where fewer images were scored
    before, its finished tile does not serve.

    `kept` may be shared by processes that do the same, and then says by `claim(key)` which tiles are for this one to make.
    """
    claim = getattr(kept, "claim", lambda key: True)
    parts, left, started = {}, deque(range(0, count, size)), time.monotonic()
    done = new = 0
    while left:
        first = left.popleft()
        key, last = f"{name}-{first}", min(first + size, count)
        part = kept.get(key)
        if part is None or len(next(iter(part.values()))) != last - first:
            if not claim(key):
                left.append(first)
                continue
            index = np.minimum(np.arange(first, first + size), count - 1)
            part = {what: np.asarray(values)[: last - first] for what, values in compute(index).items()}
            kept[key] = part
            new += last - first
        parts[first] = part
        done += last - first
        progress(done, (time.monotonic() - started) / max(new, 1) * (count - done))
    ordered = [parts[first] for first in sorted(parts)]
    return {what: np.concatenate([part[what] for part in ordered]) for what in ordered[0]}
