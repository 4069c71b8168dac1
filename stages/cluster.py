"""A stage's work as tasks of a Ray cluster: all of this project that knows Ray.

The files that a stage declares go through Ray's object store, and a worker unpacks them into a folder of its own, where the
stage's own code runs as it does here. A board, an actor beside this process, keeps what is finished in the folder where it is
without a cluster: so the death of a node costs what the node was at, and that of this process no more than elsewhere.

Tasks that share a seed run the same program, and make each part that they come to and may claim. One that has nothing else
left makes also what another has been at for too long: its maker may be gone, and both make the same bytes.
"""

import atexit
import contextlib
import fcntl
import importlib
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np

import stages
from pipeline import Refusal, params
from stages import board as boards

RAYS = {"cpus": "CPU", "gpus": "GPU", "memory_gb": "memory"}  # names of resources
RETRIES = 10  # of a task whose node or process died
PASSED_ON = ("TF_", "XLA_", "JAX_", "KERAS_", "CUBLAS_", "NVIDIA_TF32")  # variables that a framework looks at


def each(settings: dict, work: Callable, run: str, seeds: list[int], finished: Path, into: Path | None, divisible: bool):
    """As engine.each, with the settings of params.yaml."""
    ray = connect(settings.get("address", "auto"))
    wished = {"cpus": None, **(settings.get("resources") or {})}
    wished["cpus"] = wished["cpus"] or params.read()["compute"]["threads"]
    wanted = {RAYS[name]: amount for name, amount in wished.items() if amount}
    most = room(ray, wanted)
    same_versions(ray)
    files, here = ray.put(declared()), ray.get_runtime_context().get_node_id()
    kind = ray.remote(boards.Board).options(
        num_cpus=0, max_restarts=-1, max_task_retries=-1, label_selector={"ray.io/node-id": here}
    )
    board = kind.remote(str(params.ROOT), str(finished))
    own = {"num_cpus": wanted["CPU"], "num_gpus": wanted.get("GPU", 0), "memory": int(wanted.get("memory", 0) * 2**30) or None}
    task = ray.remote(work_of_seed).options(**own, max_retries=RETRIES, scheduling_strategy="SPREAD")
    script = work.__module__ if work.__module__ != "__main__" else sys.modules["__main__"].__spec__.name
    environment = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
    environment |= {} if "GPU" in wanted else {"CUDA_VISIBLE_DEVICES": ""}  # or a node that has one would use it unasked
    count = min(settings.get("workers") or most, most)
    found, running, began, shown = {}, {}, dict.fromkeys(seeds, 0), set()

    def show(told: str, warnings: list[str]) -> None:
        said = {f"{len(running)} worker{'s' * (len(running) != 1)}: {told}": sys.stdout}
        for line, where in (said | dict.fromkeys(warnings, sys.stderr)).items():
            if line not in shown:
                print(line, file=where, flush=True)
                shown.add(line)

    while len(found) < len(seeds):
        while len(running) < count:
            seed = boards.helped(seeds, found, began, [*running.values()], divisible)
            if seed is None:
                break
            who = f"{seed}-{began[seed]}"
            running[task.remote(files, environment, script, work.__name__, run, seed, who, board)] = seed
            began[seed] += 1
        ended, _ = ray.wait([*running], timeout=1)
        show(*ray.get(board.said.remote()))  # before a task that failed ends all
        for ready in ended:
            seed = running.pop(ready)
            try:
                found.setdefault(seed, ray.get(ready))
            except ray.exceptions.RayTaskError as error:  # what the stage's own code raised
                raise Refusal(str(error.cause)) if isinstance(error.cause, (Refusal, OSError)) else error from None
            except ray.exceptions.RayError as error:
                raise Refusal(f"{run}, seed {seed}: the cluster gave up ({first_line(error)}); run it again to go on") from None
            for other in [other for other, its in running.items() if its == seed]:
                ray.cancel(other, force=True)
                del running[other]
    for seed in seeds:
        for name, content in found[seed]["files"].items():
            (into / str(seed)).mkdir(parents=True, exist_ok=True)
            (into / str(seed) / name).write_bytes(content)
    ray.shutdown()
    return [ray.cloudpickle.loads(found[seed]["result"]) for seed in seeds]


def connect(address: str):
    """Ray, connected."""
    try:
        import ray
    except ImportError:
        raise Refusal("params.yaml: engine.kind: Ray is not installed: make setup ENGINE=ray") from None
    host, _, port = address.rpartition(":")
    try:
        if port.isdecimal():
            socket.create_connection((host, int(port)), timeout=5).close()
        ray.init(address, log_to_driver=False, logging_level="ERROR")
    except (OSError, RuntimeError, ValueError) as error:  # of RuntimeError: another version of Ray or Python
        how = "; `ray start --head` begins one here" if address == "auto" else ""
        raise Refusal(f"params.yaml: engine.address: no cluster to work on at {address} ({first_line(error)}){how}") from None
    for module in (sys.modules[__name__], boards):  # a worker has no file of this project yet
        ray.cloudpickle.register_pickle_by_value(module)
    return ray


def first_line(error: Exception) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0]


def room(ray, wanted: dict[str, float]) -> int:
    """For how many tasks the nodes have what each wants, if nobody else is on the cluster."""
    every = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    nodes = [{name: node.get(name, 0) / (2**30 if name == "memory" else 1) for name in wanted} for node in every]
    found = sum(int(min(node[name] / amount + 1e-9 for name, amount in wanted.items())) for node in nodes)
    if not found:
        want, *have = (", ".join(f"{amount:.4g} {name}" for name, amount in each.items()) for each in (wanted, *nodes))
        raise Refusal(f"params.yaml: engine.resources: a task wants {want}; the nodes have {'; '.join(have)}")
    return found


def same_versions(ray) -> None:
    """Refuse workers with other packages; another processor is said, as it may change the last bits."""
    files = ["requirements.txt", "requirements-ray.txt"]
    if params.read()["compute"]["backend"] == "jax":
        files.append("requirements-jax.txt")
    lines = [line for file in files for line in (params.ROOT / file).read_text().splitlines() if "==" in line]
    here = about(sorted({line.split("==")[0] for line in lines if not line.startswith((" ", "#"))}))
    here = {name: version for name, version in here.items() if version}
    nodes = {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}
    asked = [ray.remote(about).options(num_cpus=0, label_selector={"ray.io/node-id": each}).remote([*here]) for each in nodes]
    try:
        answers = ray.get(asked)
    except ray.exceptions.RayError as error:  # one has just died, or cannot start a process
        raise Refusal(f"params.yaml: engine: not every node answers ({first_line(error)})") from None
    for node, there in zip(nodes.values(), answers, strict=True):
        other = [f"{name} {there[name]}, here {here[name]}" for name in here if there[name] != here[name]]
        if other == [f"processor {there['processor']}, here {here['processor']}"]:
            print(f"node {node} has the {other[0]}: the last bits may differ", file=sys.stderr)
        elif other:
            more = f" and {len(other) - 1} more" if len(other) > 1 else ""
            raise Refusal(f"params.yaml: engine: node {node} has {other[0]}{more}: install the same requirements there")


def about(names: list[str]) -> dict[str, str | None]:
    """Versions of packages, Python's, and what the processor is."""
    found = dict.fromkeys(names)
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    found |= {"python": ".".join(map(str, sys.version_info[:3])), "processor": "unknown"}
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        found["processor"] = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return found


def declared() -> dict[str, np.ndarray]:
    """The files that the stage of this process depends on, as bytes that workers on one machine read from shared memory."""
    names = [name for name in stages.made_from if not name.startswith("params.yaml: ")]
    return {name: np.fromfile(params.ROOT / name, "uint8") for name in ["params.yaml", *names]}


def work_of_seed(files: dict, environment: dict, script: str, function: str, run: str, seed: int, who: str, board) -> dict:
    """On a worker: what the function returns, pickled as no array may stay in Ray's memory, and the files that it made."""
    import ray

    def ask(name: str, *arguments):
        return ray.get(getattr(board, name).remote(*arguments))

    for name in [name for name in os.environ if name.startswith(PASSED_ON)]:
        del os.environ[name]
    os.environ.update(environment)
    with (
        tempfile.TemporaryDirectory(dir=unpack(files)) as folder,
        boards.Telling(board.tell.remote, seed) as stdout,
        contextlib.redirect_stdout(stdout),
        boards.Telling(lambda *said: ask("warn", *said), seed, all_of_it=True) as stderr,  # heard before this task has ended
        contextlib.redirect_stderr(stderr),
    ):
        made = Path(folder) / "made"
        result = getattr(importlib.import_module(script), function)(run, seed, boards.Shared(ask, seed, who), made)
        return {"result": ray.cloudpickle.dumps(result), "files": {path.name: path.read_bytes() for path in made.glob("*")}}


def unpack(files: dict[str, np.ndarray]) -> Path:
    """Into a folder of this process, once; modules come from there from now on. Removes what dead processes left."""
    if mine := [path for path in sys.path if "workbench-worker-" in path]:
        return Path(mine[0])
    mine = Path(tempfile.mkdtemp(prefix="workbench-worker-"))
    for name, content in files.items():
        (mine / name).parent.mkdir(parents=True, exist_ok=True)
        content.tofile(mine / name)
    alive = [(mine / "alive").open("w")]  # locked as long as this process is there
    fcntl.flock(alive[0], fcntl.LOCK_EX)
    atexit.register(alive.clear)
    for other in mine.parent.glob("workbench-worker-*/alive"):
        with contextlib.suppress(OSError), other.open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(other.parent, ignore_errors=True)
    sys.path.insert(0, str(mine))
    os.chdir(mine)
    return mine
