"""On TensorFlow a stage imports nothing of JAX, here nothing of Ray, and nowhere what reads other data sets than its own."""

import os
import subprocess
import sys

import pytest

from pipeline.params import ROOT, read

pytestmark = pytest.mark.backend
START = "import stages.{0}; from pipeline import backend; backend.start(backend='tensorflow', threads=2, precision='float32')"
USED = {  # what each stage imports once it has begun
    "train": f"{START}; from pipeline import cost, models, training; import pipeline.models.latent.vae",
    "estimate": f"{START}; from pipeline import models; from pipeline.evidence import score, summary",
    "draw": f"{START}; from pipeline import cost, models",
    "claims": f"{START}; from pipeline import models",
    "calibrate": f"{START}; from pipeline import calibration, evidence",
    "prepare": "import stages.{0}, pipeline.data.digits",
    **dict.fromkeys(("check", "report", "describe", "argue", "explain", "compare", "verdict"), "import stages.{0}"),
}
PARSERS = {f"pipeline.data.{path.stem}" for path in (ROOT / "pipeline" / "data").glob("*.py")}
PARSERS -= {f"pipeline.data.{name}" for name in ("__init__", "store", "batches", "baselines", "digits", "download")}


@pytest.mark.parametrize("stage", USED)
def test_what_is_not_used_is_not_imported(stage):
    env = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    code = USED[stage].format(stage) + "; import sys; print(*(name for name, module in sys.modules.items() if module))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    imported = set(done.stdout.split())
    assert f"stages.{stage}" in imported
    assert not {name for name in imported if name.split(".")[0] in ("jax", "jaxlib", "ray")}
    assert imported & PARSERS == set()
    assert ("tensorflow" in imported) == ("backend.start" in USED[stage])


def test_every_stage_is_asked():
    assert set(USED) == set(read(ROOT / "dvc.yaml")["stages"])
