"""The backend is a parameter: it starts once, and a contradicting environment is refused in one line."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from pipeline import Refusal, backend, sharing
from pipeline.params import ROOT

START = "from pipeline import backend; backend.start(backend={!r}, threads=2, precision={!r})"


def run(code: str, **environment) -> subprocess.CompletedProcess:
    kept = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=kept | environment, capture_output=True, text=True)


def test_a_contradicting_environment_is_refused():
    code = "import sys, stages\nfrom pipeline import backend\nsys.argv = ['x']\n"
    code += "stages.run(lambda: backend.start(backend='tensorflow', threads=2, precision='float32'))"
    done = run(code, KERAS_BACKEND="jax")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "KERAS_BACKEND=jax contradicts compute.backend=tensorflow" in done.stderr


def test_starting_is_silent_and_sets_threads_and_precision():
    code = START.format("tensorflow", "mixed_bfloat16") + (
        "; import tensorflow as tf, keras; assert tf.config.threading.get_intra_op_parallelism_threads() == 2"
        "; assert keras.config.dtype_policy().name == 'mixed_bfloat16'; tf.constant(1.0)"
    )
    done = run(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.backend
def test_another_backend_cannot_start_later(monkeypatch):
    other = {"tensorflow": "jax", "jax": "tensorflow"}[keras.backend.backend()]
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    with pytest.raises(Refusal, match="keras already runs on"):
        backend.start(backend=other, threads=2, precision="float32")
    monkeypatch.undo()
    backend.start(backend=keras.backend.backend(), threads=2, precision="float32")  # a second start is no harm


@pytest.mark.backend
def test_several_devices_share_a_batch_on_jax_only(monkeypatch):
    monkeypatch.setattr(sharing, "available", lambda: ["GPU:0", "GPU:1"])
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    for devices in (2, "all"):
        with pytest.raises(Refusal, match=r"^params\.yaml: compute\.devices: 2 share a batch on JAX only: write 1, or "):
            sharing.share(devices)
    with pytest.raises(Refusal, match=r"^params\.yaml: compute\.devices: there are 2 \(GPU:0, GPU:1\), found 3$"):
        sharing.share(3)
    sharing.share(1)
    assert keras.distribution.distribution() is None


@pytest.mark.parametrize(
    "said", ["Graph execution error:\nRESOURCE_EXHAUSTED: Out of memory\nmore", "OOM when allocating tensor", None]
)
def test_a_device_without_enough_memory_is_told_by_the_parameter_to_lower(said):
    told = r"^training\.batch_size: not enough memory \([^\n]+\): try less$"
    with pytest.raises(Refusal, match=told), sharing.enough_memory("training.batch_size"):
        raise RuntimeError(said) if said else MemoryError


def test_another_error_is_not_about_memory():
    with pytest.raises(RuntimeError, match="shapes"), sharing.enough_memory("training.batch_size"):
        raise RuntimeError("shapes do not fit")


@pytest.mark.backend
def test_compiled_functions_take_and_give_trees_of_numpy():
    fast = backend.compiled(lambda x, tree: {"sum": x + tree["a"], "twice": 2 * x})
    given = fast(np.ones(3, "float32"), {"a": np.arange(3, dtype="float32")})
    assert all(isinstance(value, np.ndarray) for value in given.values())
    np.testing.assert_array_equal(given["sum"], [1, 2, 3])


@pytest.mark.backend
def test_mixed_precision_builds_and_scores_in_float32():
    code = START.format(keras.backend.backend(), "mixed_bfloat16") + (
        "\nimport numpy as np\nfrom pipeline import models\nfrom pipeline.base import generator"
        "\nspec = {'shape': [4, 4, 1], 'levels': 17, 'classes': None}"
        "\nfor name in ('categorical', 'discretised-normal'):"
        "\n    network = {'latent': 2, 'body': 'dense', 'widths': [8], 'likelihood': name}"
        "\n    m = models.build('latent', 'vae', spec, network, 0)"
        "\n    t = m.terms(np.zeros((3, 4, 4, 1), 'uint8'), m.eps(3, generator(0)))"
        "\n    assert all(str(v.dtype).endswith('float32') or 'float32' in str(v.dtype) for v in t.values()), t"
    )
    done = run(code, KERAS_BACKEND=keras.backend.backend())
    assert done.returncode == 0, done.stderr
