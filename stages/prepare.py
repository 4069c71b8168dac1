"""The images of one data set: made or read by its source, checked, and written with their baselines and hashes."""

import inspect
import re
from importlib import import_module
from importlib.util import find_spec

from pipeline import Refusal, params, store
from pipeline.data import download
from pipeline.data import store as data_store
from pipeline.data.baselines import baselines
from stages import run


def prepare(name: str) -> None:
    block = (params.read().get("data") or {}).get(name)
    if not re.fullmatch("[a-z0-9-]+", name) or not isinstance(block, dict):
        raise Refusal(f"params.yaml: there is no data set named {name!r}, of a-z, 0-9 and -, under data")
    try:
        images = make(**block)
        data_store.check(images, "images")
    except Refusal as refusal:
        raise Refusal(f"data.{name}: {refusal}") from None
    found = baselines(images)
    with store.writing(store.data(name)) as folder:
        data_store.write(folder, images, found)
    print(summary(name, images, found))


def make(source: str = "", reads: str = "", **arguments) -> data_store.Images:
    """What pipeline/data/<source>.py makes of the arguments. Sources that read files are told where those are."""
    if not re.fullmatch("[a-z0-9_]+", str(source)) or not find_spec(f"pipeline.data.{source}"):
        raise Refusal(f"source: there is no {source!r} in pipeline/data")
    module = import_module(f"pipeline.data.{source}")
    images = getattr(module, "images", None)
    if images is None:
        raise Refusal(f"source: pipeline/data/{source}.py is no source, it has no function `images`")
    if "path" in inspect.signature(images).parameters:
        arguments["path"] = params.ROOT / str(reads)
    try:
        inspect.signature(images).bind(**arguments)
    except TypeError as error:
        raise Refusal(f"{error} (of pipeline/data/{source}.py)") from None
    files = getattr(module, "FILES", ())  # of a published set
    if files and reads == f"pipeline/data/{source}.py":  # and not the user's own copy of it
        arguments["path"] = download.fetched(source, files)
    return images(**arguments)


def summary(name: str, images: data_store.Images, found: dict) -> str:
    counts = "/".join(str(len(split.x)) for split in images.splits.values())
    shape = "x".join(map(str, images.train.x.shape[1:]))
    levels = "real values" if images.levels is None else f"{images.levels} levels"
    kinds = ("uniform", "independent", "chain", "floor")
    known = [f"{kind} {found[f'{kind}_nats']:.3f}" for kind in kinds if found.get(f"{kind}_nats") is not None]
    return f"{name}: {counts} images {shape}, {levels}; nats per test image: {', '.join(known)}"


if __name__ == "__main__":
    run(prepare, "data")
