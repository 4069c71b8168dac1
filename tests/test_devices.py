"""Several devices that share each batch, in one process or in two, train as one device does. Collected on JAX only."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

from pipeline.params import ROOT

pytestmark = pytest.mark.backend
SCRIPT = """
import json, sys
import numpy as np

devices, process, port = json.loads(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
if port:
    import jax
    jax.distributed.initialize(f"127.0.0.1:{port}", 2, process)
from pipeline import backend
backend.start(backend="jax", threads=1, precision="float32", devices=devices)
from pipeline import models, sharing, training
sharing.share(devices)
sharing.check("training.batch_size", 40)
from pipeline.data.store import Images, Split

rng = np.random.default_rng(0)
train, valid = (Split((rng.random((count, 8, 8, 1)) < 0.3).astype("uint8")) for count in (400, 60))
images = Images(train, valid, valid, levels=2)
found = {}
for name, (family, how) in {
    "vae": ("latent", {"latent": 4, "body": "dense", "widths": [32], "dropout": 0.2}),
    "vqvae": ("quantised", {"codes": 8, "dimension": 4, "widths": [8, 8], "residual": 0, "restarts": 4,
                            "prior_features": 8, "prior_layers": 1}),
}.items():
    what = {"shape": [8, 8, 1], "levels": 2, "classes": None}
    model = models.build(family, name, what, how | {"likelihood": "bernoulli"}, 0)
    rows = []
    for phase in model.phases:
        rows += training.fit(model, images, 0, phase, epochs=2, batch_size=40, learning_rate=0.003, averaging=0.9)
    found[name] = [[row["loss"], row["valid_loss"]] for row in rows]
    if name == "vae":
        from pipeline.evidence.importance import Importance
        found["log_prob"] = Importance(model, 0).estimate(valid.x, 50).log_prob.tolist()
import keras
layout = keras.distribution.distribution()
found["replicas"] = layout.num_model_replicas if layout else 1
weight = model.trainable_weights[0].value
found["on"] = len(weight.sharding.device_set)
x = sharing.spread({"x": train.x[:40]})["x"]
found["rows"] = len(x.addressable_shards[0].data) if layout else 40
print(json.dumps(found))
"""


def begin(devices, count: int, process: int = 0, port: str = "", **more: str) -> subprocess.Popen:
    env = os.environ | {"XLA_FLAGS": f"--xla_force_host_platform_device_count={count}", "KERAS_BACKEND": "jax"}
    env |= {"JAX_PLATFORMS": "cpu"} | more
    command = [sys.executable, "-c", SCRIPT, json.dumps(devices), str(process), port]
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: subprocess.Popen) -> dict:
    try:
        said, complained = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0, complained
    return json.loads(said.splitlines()[-1])


@pytest.fixture(scope="module")
def one() -> dict:
    return end(begin(1, 4))


def test_one_device_is_one_also_where_there_are_more(one):
    assert (one["replicas"], one["on"]) == (1, 1)


def test_four_devices_learn_what_one_does(one):
    four = end(begin("all", 4))
    assert (four["replicas"], four["on"], four["rows"]) == (4, 4, 10)
    for name in ("vae", "vqvae", "log_prob"):
        np.testing.assert_allclose(four[name], one[name], rtol=1e-5)


def test_two_processes_learn_what_one_does(one):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    both = [begin(4, 2, process, port) for process in (0, 1)]
    try:
        found = [end(process) for process in both]
    finally:
        [process.kill() for process in both]
    assert found[0] == found[1]
    assert (found[0]["replicas"], found[0]["on"], found[0]["rows"]) == (4, 4, 10)
    for name in ("vae", "vqvae", "log_prob"):
        np.testing.assert_allclose(found[0][name], one[name], rtol=1e-5)


@pytest.mark.parametrize(
    ("devices", "platforms", "said"),
    [
        (5, "cpu", "params.yaml: compute.devices: there are 4 (cpu:0, cpu:1, cpu:2, cpu:3), found 5"),
        (3, "cpu", "training.batch_size: 40 images cannot be shared evenly by 3 devices"),
        (1, "nowhere", "compute.backend: JAX finds no device ("),
    ],
)
def test_what_is_not_there_or_cannot_be_shared_is_refused_in_one_line(devices, platforms, said):
    process = begin(devices, 4, JAX_PLATFORMS=platforms)
    complained = process.communicate(timeout=300)[1]
    assert process.returncode == 1
    assert complained.strip().splitlines()[-1].startswith(f"pipeline.Refusal: {said}")
