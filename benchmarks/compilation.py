"""What compiling takes in a default run: python -m benchmarks.compilation, a quarter of an hour; wants requirements-jax.txt.

Every stage of params.yaml that compiles, with two epochs of training and few draws, since what is compiled does not depend on
them. A trace is the running of a Python function into a graph: more than one for the same function, model, phase of training
and shapes would be waste. Compiling is the time of a call in which something was traced, less that of the next call of the same
function; on JAX, where the stages of the smoke profile follow, it is what its own log says of XLA, with the operations outside
of any function: JAX compiles each of these once for its shapes in a process.
"""

import json
import logging
import re
import runpy
import subprocess
import sys
import tempfile
from collections import Counter
from functools import wraps
from pathlib import Path
from time import perf_counter

from benchmarks.results import keep
from pipeline import params, store
from tools import profiles


def short(settings: dict) -> dict:
    for run in settings["runs"].values():
        for training in run["training"].values() if "epochs" not in run["training"] else [run["training"]]:
            training["epochs"] = 2
    for block in settings["evidence"].values():
        block |= {"draws": 1000} if block.get("draws", 0) > 1000 else {}
        block |= {"annealed": 32} if (block.get("annealed") or 0) > 32 else {}
    return settings


class Counted:
    """A compiled function that notes its traces, and how long its calls took if no other one was calling it."""

    inside = 0

    def __init__(self, real, function, options: dict):
        self.traced, self.calls, self.function = [], [], function

        @wraps(function)  # which arguments are static is said by name
        def noted(*given, **named):
            import keras

            leaves = keras.tree.flatten((given, named))
            shapes = [(getattr(leaf, "shape", leaf), getattr(leaf, "dtype", None)) for leaf in leaves]
            self.traced.append((name(function), models(function), str(shapes)))
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


def name(function) -> str:
    line = getattr(getattr(function, "__code__", None), "co_firstlineno", 0)
    return f"{getattr(function, '__qualname__', function)}:{line}"


def models(function) -> tuple:
    """Those that a function is about, each with its phase of training: it, or what it is bound to or closes over, has them. The
    scale of an annealing is with them, as it is a constant in what is compiled."""
    import keras

    found, seen = [], []

    def look(thing, deep: int = 0) -> None:
        if isinstance(thing, keras.Model | keras.optimizers.Optimizer):  # of a model its own
            found.append((id(thing), getattr(thing, "phase", None)))
        elif deep < 4 and not any(thing is each for each in seen):
            seen.append(thing)
            found.extend([thing.scale] if isinstance(getattr(thing, "scale", None), float) else [])
            cells = [cell.cell_contents for cell in getattr(thing, "__closure__", None) or ()]
            held = [getattr(thing, name, None) for name in ("__self__", "model", "function")]
            for each in (*cells, *held):
                look(each, deep + 1)

    look(function)
    return tuple(dict.fromkeys(found))


def count(module, compiler: str, stage: str, given: list[str]) -> dict:
    """Goes through a stage with `module.compiler` replaced by one that counts."""
    found: list[Counted] = []  # kept, so that no two models have the same id
    real = getattr(module, compiler)

    def counting(function=None, **options):
        if function is None:
            return lambda function: counting(function, **options)
        found.append(Counted(real, function, options))
        return found[-1]

    setattr(module, compiler, counting)
    go(stage, given)
    traces = Counter(trace for each in found for trace in each.traced)
    again = Counter(trace[0] for trace, times in traces.items() if times > 1)
    return {"traces": traces.total(), "seconds": sum(each.seconds() for each in found), "again": dict(again)}


def on_tensorflow(stage: str, given: list[str]) -> dict:
    import tensorflow as tf

    return count(tf, "function", stage, given)


def on_jax(stage: str, given: list[str]) -> dict:
    import jax

    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logger = logging.getLogger("jax")
    logger.addHandler(handler)
    logger.propagate = False
    jax.config.update("jax_log_compiles", True)
    found = count(jax, "jit", stage, given)
    seconds = [float(each[1]) for line in said if (each := re.search(r"Finished XLA compilation .* in ([\d.e-]+) s", line))]
    return found | {"seconds": sum(seconds)}


def go(stage: str, given: list[str]) -> None:
    sys.argv = [str(params.ROOT / "stages" / f"{stage}.py"), *given]
    try:
        runpy.run_module(f"stages.{stage}", run_name="__main__")
    except SystemExit as stop:
        if stop.code:
            raise


def stages_of(settings: dict) -> list[list[str]]:
    runs = [[stage, run] for run in settings["runs"] for stage in ("train", "estimate", "draw")]
    return [*runs, *(["claims", name] for name in settings["claims"]), ["calibrate"]]


def measure(backend: str, settings: dict) -> None:
    total, traces, again = 0.0, 0, Counter()
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder) / "project"
        profiles.mirror(params.ROOT, here, profiles.known(params.ROOT), set())
        settings = short(settings)
        settings["compute"]["backend"] = backend
        store.write_json(here / "params.yaml", settings)
        for each in settings["data"]:
            subprocess.run([sys.executable, "-m", "stages.prepare", each], cwd=here, check=True)
        print(f"{f'on {backend}':<34}{'traces':>7}{'seconds':>9}  more than once for the same shapes")
        for stage in stages_of(settings):
            command = [sys.executable, "-m", "benchmarks.compilation", backend, *stage]
            said = subprocess.run(command, cwd=here, check=True, stdout=subprocess.PIPE, text=True).stdout
            one = json.loads(said.splitlines()[-1])
            print(f"{'@'.join(stage):<34}{one['traces']:>7}{one['seconds']:>9.1f}  {one['again'] or ''}", flush=True)
            total, traces = total + one["seconds"], traces + one["traces"]
            again.update(one["again"])
    print(f"{'all':<34}{traces:>7}{total:>9.1f}  {dict(again) or 'none'}")
    found = {"traces": traces, "seconds": round(total, 1), "traced_again": again.total()}
    keep({f"compilation.{backend}.{key}": value for key, value in found.items()})


def main() -> None:
    measure("tensorflow", params.read())
    measure("jax", params.read(params.ROOT / "profiles" / "smoke" / "params.yaml"))


if __name__ == "__main__":
    if sys.argv[1:]:
        import stages

        stages.end = lambda *given: None  # this process goes on to tell
        backend, stage, *given = sys.argv[1:]
        print(json.dumps({"tensorflow": on_tensorflow, "jax": on_jax}[backend](stage, given)))
    else:
        main()
