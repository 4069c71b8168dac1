"""What DVC and the start of a stage cost: python -m benchmarks.pipeline, some minutes.

noop-25, noop-60: `dvc repro` of that many runs when nothing has changed, with the real dvc.yaml; its stages are stubbed, as in
    the tests, so that there is something for it to look at
start-train, start-estimate: from the start of Python until the stage would read its data, as DVC starts it, with its inputs
    hashed, beside a bare `import keras`, which takes TensorFlow along

A ratio is a limit over our time: 4 and 10 seconds for DVC, and the bare import and 1.5 seconds more for a stage.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from benchmarks.results import HEAD, in_turns, report, seconds
from pipeline.params import ROOT

sys.path.insert(0, str(ROOT / "tests"))
from dvc_helpers import small_params, stubbed

LIMITS = {25: 4.0, 60: 10.0}
MORE = 1.5  # seconds that a stage may take beyond the framework
START = """
import sys, stages, stages.{0}
def {0}(run):
    from pipeline import backend, params
    backend.start(**params.read()["compute"])
    {1}
sys.argv = ["stages/{0}.py", "digits-vae"]
stages.run({0}, "run")
"""
BARE = "import os, keras; os._exit(0)"  # as a stage ends
IMPORTS = {"train": "from pipeline import cost, models, training", "estimate": "from pipeline.evidence import score, summary"}


def runs(count: int) -> dict:
    """Parameters with that many runs, all of one kind."""
    settings = small_params()
    name, one = next(iter(settings["runs"].items()))
    return settings | {"runs": settings["runs"] | {f"{name}-{i}": one for i in range(count - len(settings["runs"]))}}


def python(project, stage: str, code: str) -> float:
    env = project.env | {"DVC_STAGE": f"{stage}@digits-vae", "DVC_ROOT": str(project.path)}
    command = [sys.executable, "-c", code]
    return seconds(lambda: subprocess.run(command, cwd=project.path, env=env, check=True, stderr=subprocess.DEVNULL))


def main() -> None:
    print(HEAD)
    for count, limit in LIMITS.items():
        with tempfile.TemporaryDirectory() as folder:
            project = stubbed(Path(folder), runs(count))
            began = perf_counter()
            project.dvc("repro")
            first = perf_counter() - began
            took = in_turns({"ours": lambda p=project: seconds(lambda: p.dvc("repro")), "limit": lambda lim=limit: lim})
        report("pipeline", f"noop-{count}", took, {"ours": first}, {"limit": 1.0})
    for stage, imports in IMPORTS.items():
        with tempfile.TemporaryDirectory() as folder:
            project = stubbed(Path(folder), small_params())
            project.dvc("repro")
            ways = {"ours": START.format(stage, imports), "import": BARE}
            took = in_turns({name: lambda s=stage, c=code, p=project: python(p, s, c) for name, code in ways.items()})
        took["limit"] = [each + MORE for each in took.pop("import")]
        report("pipeline", f"start-{stage}", took, {}, {"limit": 1.0})


if __name__ == "__main__":
    main()
