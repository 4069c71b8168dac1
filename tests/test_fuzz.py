"""Whatever is typed into params.yaml and whatever lies in a file: accepted, or refused in one line. Never a traceback."""

import copy
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from own_images import GREY
from PIL import Image
from test_params import TEXT

from pipeline import Refusal, params, schema
from pipeline.data import file

# The same examples every time: a suite that is red now and then tells nobody anything.
THOROUGH = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}
ODD = [
    "",
    "x",
    "null",
    "é",
    "\u0000",
    "x" * 300,
    "a b",
    "../../etc/passwd",
    "; rm -rf /",
    "${runs}",
    "digits",
    "digits-vae",
    "none",
]
VALUES = [None, True, -1, 0, 1, 2**63, 1e308, float("nan"), float("inf"), [], [0], [[]], {}, {"x": {}}, {0: 1}, ["digits"]]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
NASTY = st.sampled_from(ODD) | st.sampled_from(VALUES) | st.recursive(LEAVES, lambda inside: st.lists(inside, max_size=3))
MARKS = ["\t", "- ", ": ", "&a ", "*a", "!!x ", "{", "]", "\n"]


def refused_or_fine(call, *arguments) -> str | None:
    """What it was refused with."""
    try:
        call(*arguments)
    except Refusal as refusal:
        said = str(refusal)
        assert said and "\n" not in said.strip() and len(said) < 1000, said
        return said
    return None


def places(node, path=()) -> list[tuple]:
    """Of every value in a tree of dicts and lists."""
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for key, value in inside for place in places(value, (*path, key)))]


def names_a_place(said: str, *contents: dict) -> bool:
    """Whether it begins with the way to something that is there, or that was there before."""
    ways = set()
    for content in contents:
        for place in places(content):
            way = ""
            for key in place:
                way = schema.dotted(way, key)
                ways |= {f"params.yaml: {way}: ", f"params.yaml: {way}."}  # or a key in it, which is missing
    return any(said.startswith(way) and len(said) > len(way) for way in ways)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("root")
    (root / "pipeline" / "data").mkdir(parents=True)
    (root / "pipeline" / "data" / "digits.py").touch()
    np.save(root / "mine.npy", GREY)
    return root


@pytest.fixture(scope="module")
def good(root) -> dict:
    (root / "good.yaml").write_text(TEXT)
    content = params.read(root / "good.yaml")
    schema.check(content, root)
    return content


@settings(max_examples=2000, **THOROUGH)
@given(data=st.data())
def test_any_value_in_any_place_of_params(root, good, data):
    content = copy.deepcopy(good)
    for _ in range(data.draw(st.integers(1, 3))):
        where = data.draw(st.sampled_from(places(content)[1:]))
        holder = content
        for key in where[:-1]:
            holder = holder[key]
        what = data.draw(st.sampled_from(["replace", "remove", "rename"]))
        if what == "replace" or isinstance(holder, list):
            holder[where[-1]] = data.draw(NASTY)
        else:
            value = holder.pop(where[-1])
            if what == "rename":
                holder[data.draw(st.text(max_size=5) | st.sampled_from(["latent", "runs", "digits"]))] = value
    said = refused_or_fine(schema.check, content, root)
    assert said is None or names_a_place(said, good, content), said


@settings(max_examples=1000, **THOROUGH)
@given(data=st.data())
def test_any_edit_of_the_text_of_params(root, data):
    text = TEXT
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 20)))
        put = data.draw(st.text(max_size=4) | st.sampled_from(MARKS))
        text = text[:start] + put + text[end:]
    path = root / "params.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    refused_or_fine(lambda: schema.check(params.read(path), root))


def saved(save) -> bytes:
    buffer = io.BytesIO()
    save(buffer)
    return buffer.getvalue()


FILES = {
    "mine.npy": saved(lambda f: np.save(f, GREY)),
    "mine.npz": saved(lambda f: np.savez(f, x=GREY, y=np.arange(len(GREY)) % 2)),
    "small.npz": saved(lambda f: np.savez_compressed(f, x=GREY)),
    "a/0.png": saved(lambda f: Image.fromarray(GREY[0].astype("uint8")).save(f, "PNG")),
    "a/0.jpg": saved(lambda f: Image.fromarray(GREY[0].astype("uint8")).save(f, "JPEG")),
}


@pytest.mark.parametrize("name", FILES)
@settings(max_examples=150, **THOROUGH)
@given(data=st.data())
def test_any_harm_to_a_file_of_images(tmp_path_factory, name, data):
    content = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(0, len(content) - 1)))
        harm = data.draw(st.sampled_from(["flip", "cut", "put", "drop"]))
        if harm == "flip" and content:
            content[at] ^= 1 << data.draw(st.integers(0, 7))
        elif harm == "cut":
            del content[at:]
        elif harm == "put":
            content[at:at] = data.draw(st.binary(max_size=9))
        else:
            del content[at : at + data.draw(st.integers(1, 9))]
    root = tmp_path_factory.mktemp("images")
    folder = root / "images"
    for other in ("a/1.png", "a/2.png", "a/3.png", "a/4.png") if "/" in name else ():
        (folder / other).parent.mkdir(parents=True, exist_ok=True)
        (folder / other).write_bytes(FILES["a/0.png"])
    path = (folder if "/" in name else root) / name
    path.write_bytes(bytes(content))
    before = sorted(root.rglob("*"))
    wished = {"levels": 4 if name.startswith("m") else 256, "valid": 0.2, "test": 0.2, "seed": 0}
    refused_or_fine(lambda: file.images(path=folder if "/" in name else path, **wished))
    assert sorted(root.rglob("*")) == before


@settings(max_examples=300, **THOROUGH)
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_json(root, content):
    from pipeline import store

    path = root / "any.json"
    path.write_bytes(content)
    said = refused_or_fine(store.read_json, path)
    assert said is None or said.startswith(str(path))
    assert said is not None or json.loads(content) is not ...
