"""The tests marked `backend`, on TensorFlow and then on JAX. Red, too, when fewer of them built a model on JAX."""

import os
import re
import subprocess
import sys


def tests_on(backend: str, at_least: int) -> tuple[bool, int]:
    """Whether they passed, and how many built a model, as tests/conftest.py counts and prints it."""
    print(f"tests of the models on {backend}:", flush=True)
    environment = os.environ | {"KERAS_BACKEND": backend, "MODELS_BUILT_AT_LEAST": str(at_least)}
    command = [sys.executable, "-m", "pytest", "-m", "backend"]
    built = 0
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as tests:
        for line in tests.stdout:
            print(line, end="", flush=True)
            if match := re.match(r"tests that built a model: (\d+)", line):
                built = int(match[1])
    return tests.returncode == 0, built


if __name__ == "__main__":
    fine, tensorflow = tests_on("tensorflow", 1)
    fine_too, jax = tests_on("jax", tensorflow)
    print(f"tests that built a model: {tensorflow} on tensorflow, {jax} on jax")
    sys.exit(not (fine and fine_too and jax >= tensorflow > 0))
