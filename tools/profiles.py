"""Run a command in a profile's copy of the project: python -m tools.profiles smoke dvc status

The copy, .scratch/profiles/<name>, holds every file that git knows or would know, edits included, but params.yaml,
dvc.lock, results and plots are those of profiles/<name>/. The last three come back there, also when the command fails.
Heavy outputs and pages stay in the copy; the DVC cache is the project's own. What has not changed is not written again,
so that DVC need not hash it again.
"""

import fcntl
import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline import Refusal, params

RESULTS = ("dvc.lock", "results", "reports/plots", "reports/gates.csv")  # a profile has its own
NOT_BROUGHT = ("params.yaml", "profiles", *RESULTS)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def put(source: Path, target: Path) -> None:
    """Make `target` the same as `source`, a file, or a link to what the link `source` means, from anywhere."""
    if source.is_symlink():
        if not (target.is_symlink() and target.readlink() == source.resolve()):
            remove(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source.resolve())
    elif target.is_symlink() or not target.is_file() or not filecmp.cmp(source, target):
        remove(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)  # with its time, by which git, DVC and Python tell whether a file has changed


def files(root: Path, *names: str) -> set[str]:
    """The files and links at or below these names, relative to `root`; a name that leads nowhere adds nothing."""
    found = (f for n in names for f in ([root / n], (root / n).rglob("*"))[(root / n).is_dir()])
    return {f.relative_to(root).as_posix() for f in found if f.is_symlink() or f.is_file()}


def mirror(source: Path, target: Path, wanted: set[str], present: set[str]) -> None:
    """Bring the `wanted` files to `target`, and remove there those that were `present` and are wanted no more."""
    for name in present - wanted:
        remove(target / name)
        for folder in (target / name).parents:
            if folder == target or not folder.is_dir() or any(folder.iterdir()):
                break
            folder.rmdir()
    for name in wanted:
        put(source / name, target / name)


def known(root: Path) -> set[str]:
    """The files that git tracks or would track, as they are now."""
    command = ["git", "-C", root, "ls-files", "-co", "--exclude-standard", "-z"]
    names = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split("\0")
    here = {n for n in names if n and ((root / n).is_symlink() or (root / n).is_file())}
    return {n for n in here if not f"{n}/".startswith(tuple(f"{own}/" for own in NOT_BROUGHT))}


def read_by(profile: Path, root: Path) -> set[str]:
    """The user's own data, which git need not know."""
    blocks = params.read(profile / "params.yaml").get("data")
    reads = [b.get("reads") for b in blocks.values() if isinstance(b, dict)] if isinstance(blocks, dict) else []
    names = [os.path.normpath(r) for r in reads if isinstance(r, str) and not Path(r).is_absolute()]
    for name in names:
        if name.split("/")[0] in (".", "..", ".scratch"):
            raise Refusal(
                f"{profile / 'params.yaml'}: `reads: {name}` cannot be copied, put it, or a link to it, into the project"
            )
    return files(root, *names)


def cache(root: Path) -> str:
    """Where DVC keeps outputs."""
    command = [sys.executable, "-m", "dvc", "cache", "dir"]
    return subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def refresh(root: Path, profile: Path, copy: Path) -> None:
    record = copy / ".scratch" / "brought"  # the names of all files that ever came and are still there
    if copy.exists() and not record.exists():
        remove(copy)
    wanted = known(root) | read_by(profile, root)
    present = set(record.read_text(encoding="utf-8").split("\0")) - {""} if record.exists() else set()
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text("\0".join(sorted(wanted | present)), encoding="utf-8")  # true wherever this is interrupted
    mirror(root, copy, wanted, present)
    record.write_text("\0".join(sorted(wanted)), encoding="utf-8")
    put(profile / "params.yaml", copy / "params.yaml")
    mirror(profile, copy, files(profile, *RESULTS), files(copy, *RESULTS))

    config = f"[core]\n    no_scm = true\n[cache]\n    dir = {cache(root)}\n"
    (copy / ".dvc" / "config.local").write_text(config, encoding="utf-8")


def run(root: Path, name: str, *command: str) -> int:
    profile, copy = root / "profiles" / name, root / ".scratch" / "profiles" / name
    copy.parent.mkdir(parents=True, exist_ok=True)
    with copy.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refusal(f"profile {name}: already running in {copy.relative_to(root)}") from None
        refresh(root, profile, copy)
        print(f"profile {name}: in {copy.relative_to(root)}, results to {profile.relative_to(root)}", flush=True)
        try:
            return subprocess.run(command, cwd=copy, check=False).returncode
        finally:
            mirror(copy, profile, files(copy, *RESULTS), files(profile, *RESULTS))


if __name__ == "__main__":
    try:
        sys.exit(run(params.ROOT, *sys.argv[1:]))
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        sys.exit(2)
