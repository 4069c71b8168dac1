"""One backend for the whole session."""

import os
import signal

import numpy as np
import pytest

from pipeline import backend

BACKEND = os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # before a test module imports keras


# A shell that starts this in the background has Ctrl-C ignored, by all that is started from here, too.
signal.signal(signal.SIGINT, signal.default_int_handler)

# JAX takes long to compile, so it is asked where the backend might make a difference: the promises of every model, training and
# going on with it, sampling, the estimators, arithmetic. Only it shares a batch among devices.
ON_JAX = (
    *("annealing", "backend", "codebook", "convolutional_energy", "devices", "distributions", "hierarchy", "implicit"),
    *("importance", "likelihoods", "mmd", "models", "objectives", "one_move", "precision", "rbm", "resume", "sampling"),
    *("training", "vqvae"),
)


def pytest_ignore_collect(collection_path):
    about = collection_path.stem.removeprefix("test_")
    if about == collection_path.stem:  # no file of tests
        return None
    return True if (about not in ON_JAX if BACKEND == "jax" else about == "devices") else None


def pytest_runtest_setup(item):
    """Importing a framework takes seconds that tests of files and parameters need not wait for."""
    if "backend" in item.keywords:
        backend.start(backend=BACKEND, threads=2, precision="float32")


@pytest.hookimpl(tryfirst=True)  # xdist reads the marks in its own hook, which would otherwise come first
def pytest_collection_modifyitems(items):
    """What shares a costly fixture runs in one worker, a module; what wants a project of its own has a target of its own."""
    items.sort(key=lambda item: item.module.__name__ != "test_kills")  # first, as it takes longest
    for item in items:
        finished = "smoke" in item.fixturenames
        item.add_marker(pytest.mark.xdist_group("smoke" if finished else item.module.__name__))
        if finished:
            item.add_marker(pytest.mark.project)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def gaussian():
    """A linear-Gaussian model and images of it; log p(x) is known."""
    from known import Gaussian

    rng = np.random.default_rng(0)
    model = Gaussian(0.5 * rng.standard_normal((5, 2)), 1.0)
    x = (rng.standard_normal((70, 2)) @ model.weights_.T + rng.standard_normal((70, 5))).astype("float32")
    return model, x.reshape(70, 5, 1, 1)


@pytest.fixture(scope="session")
def smoke(tmp_path_factory):
    """A finished project of the smoke profile's kind, whose stages were watched as they ran."""
    from dvc_helpers import smoke

    return smoke(tmp_path_factory.mktemp("smoke"))
