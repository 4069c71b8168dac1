"""Images in tiles of one size: one shape is compiled, and what is finished need not be done again."""

import time
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
    """
    parts, started, new = [], time.monotonic(), 0
    for first in range(0, count, size):
        key, last = f"{name}-{first}", min(first + size, count)
        part = kept.get(key)
        if part is None or len(next(iter(part.values()))) != last - first:
            index = np.minimum(np.arange(first, first + size), count - 1)
            part = {what: np.asarray(values)[: last - first] for what, values in compute(index).items()}
            kept[key] = part
            new += last - first
        parts.append(part)
        progress(last, (time.monotonic() - started) / max(new, 1) * (count - last))
    return {what: np.concatenate([part[what] for part in parts]) for what in parts[0]}
