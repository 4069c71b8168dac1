"""Are the results the same again? python -m tools.verify <profile> [tolerance]

Runs a profile in fresh folders with an empty cache. The default profile once, to be compared with the dvc.lock that is
here; another one twice, at the same time, to be compared with itself, every file that was made by its hash, and the second
time as `make parallel` does, two runs at once; then `make` finds it in its cache. With `tolerance`, for another machine than
the one that made the results in git: once, and its numbers are compared with those.
"""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from pipeline import Refusal, params, store
from stages import ROOT, run
from tools import profiles

FOLDER = store.SCRATCH / "verify"
# With `tolerance`, these may differ by a twentieth or by three of their standard errors; others are only told.
JUDGED = ("nll_nats", "elbo_nats", "bits_per_dim", "regret_nats", "valid_loss", "train_loss", "reconstruction_mse")
SHARE, ERRORS = 0.05, 3
SAME = ("parameters", "steps", "epochs", "estimator", "direction", "measure", "data", "images")  # whatever the machine


def fresh(profile: str, name: str) -> Path:
    """A folder with all that git knows and this profile's parameters, but no result."""
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    source = ROOT if profile == "default" else ROOT / "profiles" / profile
    profiles.mirror(ROOT, folder, profiles.known(ROOT) | profiles.read_by(source, ROOT), set())
    profiles.put(source / "params.yaml", folder / "params.yaml")
    (folder / ".dvc" / "config.local").write_text(
        f"[core]\n    no_scm = true\n[cache]\n    dir = {folder / '.dvc' / 'cache'}\n", encoding="utf-8"
    )
    return folder


def where(folder: Path) -> str:
    return str(folder.relative_to(ROOT))


WAYS = (["dvc", "repro"], ["tools.parallel", "2"])  # modules and what they are told


def start(folder: Path, way: list[str]) -> subprocess.Popen:
    env = os.environ | {"DVC_SITE_CACHE_DIR": str(folder / ".scratch" / "dvc")}
    with folder.with_suffix(".log").open("wb") as log:
        # In a session of its own, so that all that it has started can be stopped.
        return subprocess.Popen(
            [sys.executable, "-m", *way], start_new_session=True, cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT
        )


def finish(folder: Path, process: subprocess.Popen) -> None:
    if process.wait() != 0:
        last = folder.with_suffix(".log").read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
        raise Refusal("\n".join([f"{where(folder)}: failed, see its log beside it:", *last]))


def hashes(folder: Path) -> dict[str, str]:
    """Of every output that dvc.lock names, as it is now on the disk."""
    stages = params.read(folder / "dvc.lock")["stages"].values()
    names = [out["path"] for stage in stages for out in stage.get("outs", ())]
    found = {}
    for path in (file for name in names for file in ([folder / name], (folder / name).rglob("*"))[(folder / name).is_dir()]):
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = store.md5(path)
    return found


def give(made: Path, cache: Path) -> None:
    """To the project's own cache, so that what came out the same twice need not be made a third time."""
    for path in profiles.files(made, "."):
        if not (cache / path).exists():
            profiles.put(made / path, cache / path)


def unlike(one: dict, other: dict) -> list[str]:
    """The keys whose values differ."""
    return sorted(key for key in one | other if one.get(key) != other.get(key))


def recorded(lock: Path) -> dict:
    """What dvc.lock says, each hash and parameter by its stage and place."""
    found = {}
    for name, stage in params.read(lock)["stages"].items():
        for part in ("deps", "outs"):
            found |= {f"{name}: {entry['path']}": entry for entry in stage.get(part, ())}
        found |= {
            f"{name}: {file} {key}": value for file, some in stage.get("params", {}).items() for key, value in some.items()
        }
        found[f"{name}: cmd"] = stage["cmd"]
    return found


def numbers(folder: Path) -> dict[str, float | str]:
    """Of the JSON files of results/, by file and key."""
    found = {}
    for path in sorted((folder / "results").rglob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        name = path.relative_to(folder).as_posix()
        found |= {f"{name} {key}": value for key, value in content.items() if isinstance(value, int | float | str)}
    return found


def judge(before: dict, now: dict) -> tuple[list[str], list[str]]:
    """Lines about the numbers that are further apart than they may be, and about the others that differ."""
    bad, told = [], []
    for name in unlike(before, now):
        a, b, key = before.get(name), now.get(name), name.split()[-1]
        if a is None or b is None or isinstance(a, str) or isinstance(b, str):
            (bad if key in SAME or a is None or b is None else told).append(f"{name}: {a} -> {b}")
            continue
        error = 0.0
        if key.endswith("_nats"):
            se = f"{name.removesuffix(key)}nll_se"
            error = math.hypot(before.get(se, 0.0), now.get(se, 0.0))
        allowed = max(SHARE * abs(a), ERRORS * error)
        line = f"{name}: {a:.6g} -> {b:.6g}, {b - a:+.3g}"
        if key in SAME or (key in JUDGED and not abs(b - a) <= allowed):
            bad.append(f"{line} (allowed {0.0 if key in SAME else allowed:.3g})")
        else:
            told.append(line)
    return bad, told


def verify(profile: str, tolerance: str = "") -> None:
    once = profile == "default" or tolerance
    folders = [fresh(profile, f"{profile}-{number}") for number in ((1,) if once else (1, 2))]
    print(f"verify: {profile}, from nothing, in {' and '.join(where(folder) for folder in folders)}", flush=True)
    processes = [start(folder, way) for folder, way in zip(folders, WAYS, strict=False)]
    try:
        for folder, process in zip(folders, processes, strict=True):
            finish(folder, process)
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
    home = ROOT if profile == "default" else ROOT / "profiles" / profile
    if tolerance:
        before, now = numbers(home), numbers(folders[0])
        bad, told = judge(before, now)
        print("\n".join([*(f"  {line}" for line in told), *(f"! {line}" for line in bad)]))
        print(f"verify: {len(before)} numbers, {len(before) - len(told) - len(bad)} the same, {len(told)} not quite")
        if bad:
            raise Refusal(f"verify: {len(bad)} numbers differ by more than is allowed, see the lines above")
        return
    if once:
        one, other = recorded(ROOT / "dvc.lock"), recorded(folders[0] / "dvc.lock")
        what = f"{len(one)} entries of dvc.lock"
    else:
        one, other = (hashes(folder) | recorded(folder / "dvc.lock") for folder in folders)
        what = f"{len(hashes(folders[0]))} files"
    if apart := unlike(one, other):
        raise Refusal("\n".join([*(f"! {name}" for name in apart), f"verify: {len(apart)} of {len(one)} differ, see above"]))
    print(f"verify: {what}, all the same")
    if not once:
        give(folders[0] / ".dvc" / "cache", Path(profiles.cache(ROOT)))


if __name__ == "__main__":
    run(verify, *("profile", "tolerance")[: max(1, len(sys.argv) - 1)])
