"""What compiling takes in a default run: python -m benchmarks.compilation, some minutes. For TensorFlow.

The stages of every run of params.yaml, with one seed, two epochs and few draws, since what is compiled does not depend on
them. A trace is the running of a Python function into a graph: more than one of a function for the same shapes would be
waste. Compiling is the time of a call in which something was traced, less that of the next call of the same function.
"""

import json
import runpy
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from time import perf_counter

from benchmarks.results import keep
from pipeline import params, store
from tools import profiles

STAGES = ("train", "estimate", "draw")


def short(settings: dict) -> dict:
    for run in settings["runs"].values():
        run["seeds"] = run["seeds"][:1]
        for training in run["training"].values() if "epochs" not in run["training"] else [run["training"]]:
            training["epochs"] = 2
    for block in settings["evidence"].values():
        block |= {"draws": 1000} if block.get("draws", 0) > 1000 else {}
        block |= {"annealed": 4} if block.get("annealed") else {}
    return settings


class Counted:
    """A compiled function that notes its traces, and how long its calls took if no other one was calling it."""

    inside = 0

    def __init__(self, real, function, options: dict):
        self.traced, self.calls, self.name = [], [], getattr(function, "__qualname__", str(function))

        def noted(*given, **named):
            import tensorflow as tf

            leaves = tf.nest.flatten((given, named))
            self.traced.append(str([(getattr(leaf, "shape", leaf), getattr(leaf, "dtype", None)) for leaf in leaves]))
            return function(*given, **named)

        self.compiled = real(noted, **options)

    def __call__(self, *given, **named):
        before, began = len(self.traced), perf_counter()
        Counted.inside += 1
        try:
            return self.compiled(*given, **named)
        finally:
            Counted.inside -= 1
            if not Counted.inside:
                self.calls.append((perf_counter() - began, len(self.traced) > before))

    def seconds(self) -> float:
        plain = [took for took, traced in self.calls if not traced]
        return sum(max(0.0, took - min(plain, default=0.0)) for took, traced in self.calls if traced)


def watched(stage: str, run: str) -> dict:
    """Runs a stage here; how often each function was traced for the same shapes, and what that took."""
    import tensorflow as tf

    found: list[Counted] = []
    real = tf.function

    def counting(function=None, **options):
        if function is None:
            return lambda function: counting(function, **options)
        found.append(Counted(real, function, options))
        return found[-1]

    tf.function = counting
    sys.argv = [str(params.ROOT / "stages" / f"{stage}.py"), run]
    try:
        runpy.run_module(f"stages.{stage}", run_name="__main__")
    except SystemExit as stop:
        if stop.code:
            raise
    again = {each.name: n for each in found for n in Counter(each.traced).values() if n > 1}
    traces, took = sum(len(each.traced) for each in found), sum(each.seconds() for each in found)
    return {"traces": traces, "seconds": took, "again": again}


def main() -> None:
    total, traces, again = 0.0, 0, {}
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder) / "project"
        profiles.mirror(params.ROOT, here, profiles.known(params.ROOT), set())
        settings = short(params.read())
        store.write_json(here / "params.yaml", settings)
        for name in settings["data"]:
            subprocess.run([sys.executable, "-m", "stages.prepare", name], cwd=here, check=True)
        print(f"{'stage':<34}{'traces':>7}{'seconds':>9}  traced again for the same shapes")
        for run in settings["runs"]:
            for stage in STAGES:
                command = [sys.executable, "-m", "benchmarks.compilation", stage, run]
                said = subprocess.run(command, cwd=here, check=True, stdout=subprocess.PIPE, text=True).stdout
                one = json.loads(said.splitlines()[-1])
                print(f"{f'{stage}@{run}':<34}{one['traces']:>7}{one['seconds']:>9.1f}  {one['again'] or ''}", flush=True)
                total, traces, again = total + one["seconds"], traces + one["traces"], again | one["again"]
    print(f"{'all':<34}{traces:>7}{total:>9.1f}  {again or 'none'}")
    keep({"compilation.traces": traces, "compilation.seconds": round(total, 1), "compilation.traced_again": len(again)})


if __name__ == "__main__":
    if sys.argv[1:]:
        import stages

        stages.end = lambda *given: None  # this process goes on to tell
        print(json.dumps(watched(*sys.argv[1:])))
    else:
        main()
