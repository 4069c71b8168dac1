"""What DVC and the start of a stage cost: python -m benchmarks.pipeline, some minutes.

noop-25, noop-60: `dvc repro` of that many runs when nothing has changed, with the real dvc.yaml; its stages are stubbed, as in
    the tests, so that there is something for it to look at
start-train, start-estimate: from the start of Python until the stage would read its data, beside a bare `import keras`, which
    takes TensorFlow along

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
START = "from pipeline import backend, params; import stages.{0}; backend.start(**params.read()['compute'])"
IMPORTS = {"train": "from pipeline import cost, models, training", "estimate": "from pipeline.evidence import score, summary"}


def runs(count: int) -> dict:
    """Parameters with that many runs, all of one kind."""
    settings = small_params()
    name, one = next(iter(settings["runs"].items()))
    return settings | {"runs": settings["runs"] | {f"{name}-{i}": one for i in range(count - len(settings["runs"]))}}


def python(code: str) -> float:
    return seconds(lambda: subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stderr=subprocess.DEVNULL))


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
        ways = {"ours": f"{START.format(stage)}; {imports}", "import": "import keras"}
        took = in_turns({name: lambda c=code: python(c) for name, code in ways.items()})
        took["limit"] = [each + MORE for each in took.pop("import")]
        report("pipeline", f"start-{stage}", took, {}, {"limit": 1.0})


if __name__ == "__main__":
    main()
