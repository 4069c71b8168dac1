"""Devices of which each has the weights and a part of every batch of training: with backend.py, all that knows the backend."""

from contextlib import contextmanager

from pipeline import Refusal


def share(devices: int | str) -> None:
    """From now on so many devices have the same weights, and each a part of every batch; of several processes, where JAX has
    them, the devices of all.

    On TensorFlow, Keras scales a loss that a model computes itself wrongly where there are several replicas.
    """
    import keras

    found = available()
    wished = len(found) if devices == "all" else devices
    if wished > len(found):
        there = f"{len(found)} ({', '.join(found[:4])}{', ...' if len(found) > 4 else ''})"
        raise Refusal(f"params.yaml: compute.devices: there are {there}, found {wished}")
    if wished == 1:
        return
    if keras.backend.backend() == "tensorflow":
        raise Refusal(f"params.yaml: compute.devices: {wished} share a batch on JAX only: write 1, or compute.backend: jax")
    layout = keras.distribution.DataParallel(devices=found[:wished], auto_shard_dataset=False)
    keras.distribution.set_distribution(layout)


def available() -> list[str]:
    """The accelerators, or where there are none the CPU."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return [each.name for each in tf.config.list_logical_devices("GPU")] or ["the CPU"]
    try:
        return keras.distribution.list_devices()
    except (RuntimeError, AssertionError) as error:  # of JAX: there is none of that kind, or another process has it
        why = (str(error) or "none of the kind that is asked for").splitlines()[0]
        raise Refusal(f"compute.backend: JAX finds no device ({why}); JAX_PLATFORMS=cpu leaves accelerators alone") from None


@contextmanager
def alone():
    """Within, every device computes everything: what is too small to be shared evenly."""
    import keras

    layout = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(layout)


def spread(batch):
    """A batch of numpy arrays, by rows over the devices that share it."""
    import keras

    layout = keras.distribution.distribution()
    if layout is None:
        return batch
    import jax

    def part(leaf):
        size = len(leaf) // jax.process_count()  # of the rows of this process's devices
        mine = leaf[jax.process_index() * size :][:size]
        return jax.make_array_from_process_local_data(layout.get_data_layout(leaf.shape).backend_layout, mine)

    return keras.tree.map_structure(part, batch)


def check(parameter: str, size: int) -> None:
    """Refuse a batch that cannot be shared evenly."""
    import keras

    layout = keras.distribution.distribution()
    if layout and size % layout.num_model_replicas:
        raise Refusal(f"{parameter}: {size} images cannot be shared evenly by {layout.num_model_replicas} devices")


@contextmanager
def enough_memory(parameter: str):
    """Refuses, with the parameter to lower, what a device has no memory for."""
    try:
        yield
    except Exception as error:
        signs = ("RESOURCE_EXHAUSTED", "OOM when allocating")
        told = [line.strip() for line in str(error).splitlines() if any(sign in line for sign in signs)]
        if told or isinstance(error, MemoryError):
            why = told[0][:200] if told else "MemoryError"
            raise Refusal(f"{parameter}: not enough memory ({why}): try less") from None
        raise
