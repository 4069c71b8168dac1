"""Which backend runs is known here, and in sharing.py, only: starts it as tracked, compiles functions for it."""

import gc
import os
import sys
import tempfile
from contextlib import contextmanager
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le

from pipeline import Refusal, sharing


def start(
    *,
    backend: Literal["tensorflow", "jax"],
    threads: Annotated[int, Ge(1), Le(1024)],
    precision: Literal["float32", "mixed_bfloat16"],
    devices: Literal["all"] | Annotated[int, Ge(1), Le(4096)] = 1,
) -> None:
    """Before keras is imported anywhere. All of it changes the trained bits, so all of it is parameters. `devices` is for
    training, which asks sharing.py: nothing else is shared.

    backend: what Keras runs on
    threads: of the CPU, within one operation
    precision: float32, or mixed_bfloat16: weights in float32, activations in bfloat16
    devices: how many share each batch of training, on JAX
    """
    agree(backend)
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if backend == "jax":
        os.environ["NPROC"] = str(threads)  # the size of XLA's thread pool on a CPU
    with quiet(), light_imports("sklearn", *(["jax"] if backend == "tensorflow" else [])):
        import keras

    if keras.backend.backend() != backend:
        raise Refusal(f"keras already runs on {keras.backend.backend()}, compute.backend in params.yaml says {backend}")
    if backend == "tensorflow":
        with quiet():
            _start_tensorflow(threads)
    else:
        sharing.available()
    keras.config.set_dtype_policy(precision)


def agree(backend: str) -> None:
    """Refuse an environment that asks for another backend than params.yaml."""
    wished = os.environ.get("KERAS_BACKEND", backend)
    if wished != backend:
        raise Refusal(f"KERAS_BACKEND={wished} contradicts compute.backend={backend} of params.yaml: unset it")


@contextmanager
def quiet():
    """TensorFlow greets on stderr whatever its log level; what it says is shown only when something fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except Exception:
            said.seek(0)
            os.write(kept, said.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@contextmanager
def light_imports(*unwanted: str):
    """A framework's modules are objects by the million that all stay: a search for garbage among them takes a quarter of the
    time and finds none. And where they can, Keras imports scikit-learn, for wrappers, and TensorFlow JAX, for its Lite.
    """
    if "keras" in sys.modules:
        yield
        return
    hidden, collected = [name for name in unwanted if name not in sys.modules], gc.isenabled()
    sys.modules |= dict.fromkeys(hidden)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collected:
            gc.enable()
        for name in hidden:
            del sys.modules[name]


def _start_tensorflow(threads: int) -> None:
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")  # else it warns that functions are compiled anew, as every model's have to be
    tf.config.experimental.enable_op_determinism()
    if tf.config.threading.get_intra_op_parallelism_threads() != threads:  # a second start may not set them again
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.list_logical_devices()  # where there is no GPU, the first look for one is loud


def compiled(function, fused: bool = False):
    """`function` of arrays and trees of arrays, compiled once per shape; takes and gives numpy.

    `fused`: by XLA as a whole, which takes seconds and pays where there is a loop of small operations. JAX always does.
    """
    import keras

    if keras.backend.backend() == "jax":
        import jax

        fast = jax.jit(function)
    else:
        import tensorflow as tf

        fast = tf.function(function, autograph=False, reduce_retracing=False, jit_compile=fused)
    return lambda *arguments: keras.tree.map_structure(np.asarray, fast(*arguments))


def fit(model, batches, **how) -> None:
    """Keras's `fit` in `batches.calls` calls per epoch; each trains on the batches that `batches.take()` returns, maybe none.

    Python, and what hands a batch over to a framework, cost more than a step of a small model. So on TensorFlow a call is one
    compiled loop over batches that lie one above the other. Keras's own data only count the calls.
    """
    import keras

    if keras.backend.backend() == "jax":
        first = batches.step(0)  # Keras looks at a batch where a layer has never been called by itself

        class Calls(keras.utils.PyDataset):
            def __len__(self):
                return batches.calls

            def __getitem__(self, call):
                return (first,)

        calls = Calls()
        model.make_train_function()
        one = model.train_function

        def train(state, call):
            logs = {}
            for batch in batches.take():
                logs, state = one(state, iter([(sharing.spread(batch),)]))
            return logs, state
    else:
        import tensorflow as tf

        calls, loop = tf.data.Dataset.range(batches.calls), many_steps(model)

        def train(call):
            some = batches.take()
            return loop(some) if some else {}

    model.train_function = train
    try:
        model.fit(calls, shuffle=False, verbose=0, **how)
    finally:
        model.train_function = None  # so that Keras makes its own again


def many_steps(model):
    """A function of a list of batches that trains on one after the other, for TensorFlow."""
    import tensorflow as tf

    made = []

    def steps(chunk):
        names = []

        def one(step):
            names[:] = model.train_step(tf.nest.map_structure(lambda leaf: leaf[step], chunk))
            return (step + 1,)

        count = tf.shape(tf.nest.flatten(chunk)[0])[0]
        tf.while_loop(lambda step: step < count, one, (tf.constant(0),), maximum_iterations=count)
        means = model.get_metrics_result()
        return {name: means[name] for name in names}

    def function(batches):
        chunk = tf.nest.map_structure(lambda *leaves: tf.constant(np.stack(leaves)), *batches)
        if not made:
            like = tf.nest.map_structure(lambda leaf: tf.TensorSpec((None, *leaf.shape[1:]), leaf.dtype), chunk)
            made.append(tf.function(steps, autograph=False, input_signature=[like]))
        return made[0](chunk)

    return function


def fused(function, *arguments) -> None:
    """Call `function` of tensors for what it does to variables, from inside a compiled function, by XLA as a whole. JAX does so
    with all that it compiles."""
    import keras

    if keras.backend.backend() == "jax":
        function(*arguments)
    else:
        import tensorflow as tf

        dense = keras.tree.map_structure(tf.convert_to_tensor, arguments)
        tf.function(function, autograph=False, jit_compile=True)(*dense)


def batched(function, size: int = 500):
    """`compiled` for as many rows as there are: in pieces of one size, so that one shape is compiled; the last piece is filled
    up with its last row."""
    fast = compiled(function)

    def call(*arrays: np.ndarray) -> np.ndarray:
        n = len(arrays[0])
        index = np.minimum(np.arange(-(-n // size) * size), n - 1).reshape(-1, size)
        return np.concatenate([fast(*(np.asarray(array[rows]) for array in arrays)) for rows in index])[:n]

    return call


def value_and_gradient(function, z):
    """function(z), numbers of which each belongs to its own part of the tree z, and the gradient of their sum."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        def total(z):
            values = function(z)
            return values.sum(), values

        gradient, values = jax.grad(total, has_aux=True)(z)
        return values, gradient
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(z)
        values = function(z)
    return values, tape.gradient(values, z, unconnected_gradients="zero")
