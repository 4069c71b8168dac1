"""Where a stage's work is done: here, or by the tasks of a cluster. It changes no number, so no output depends on it."""

from collections.abc import Callable
from pathlib import Path

from pipeline import params, store


def each(work: Callable, run: str, seeds: list[int], finished: Path, into: Path | None = None, divisible: bool = False) -> list:
    """work(run, seed, kept, folder) of every seed.

    `kept`: a mapping for parts that need not be done again, in `finished`/<seed>. `folder`: what is written there is found in
    `into`/<seed>. `divisible`: several tasks may do the work of a seed, as each makes only those parts that it may claim.
    """
    settings = params.read().get("engine") or {}
    if settings.get("kind", "local") == "ray":
        from stages import cluster

        return cluster.each(settings, work, run, seeds, finished, into, divisible)
    return [work(run, seed, store.Finished(finished / str(seed)), into and into / str(seed)) for seed in seeds]
