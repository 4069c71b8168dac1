"""A page of what changed between a commit and now: python -m tools.diff REV. It is no output of DVC."""

import io
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from pipeline import Refusal, notebook, params, store
from stages import run

BEFORE = store.SCRATCH / "before"
PAGE = store.SCRATCH / "diff.html"
GIT = ("params.yaml", "dvc.lock", "results")
ARRAYS = ("artifacts/gallery/", "artifacts/likelihood/")


def git(*arguments: str) -> bytes:
    done = subprocess.run(["git", *arguments], cwd=params.ROOT, capture_output=True)
    if done.returncode:
        raise Refusal(f"git {' '.join(arguments)}: {done.stderr.decode().strip()}")
    return done.stdout


def restore(revision: str) -> list[str]:
    """Puts a commit's parameters, results and arrays into BEFORE; the arrays that DVC's cache here does not have."""
    shutil.rmtree(BEFORE, ignore_errors=True)
    BEFORE.mkdir(parents=True)
    names = git("ls-tree", "--name-only", revision, *GIT).decode().split()
    with zipfile.ZipFile(io.BytesIO(git("archive", "--format=zip", revision, *names))) as archive:
        archive.extractall(BEFORE)
    if "dvc.lock" not in names:
        return []
    asked = subprocess.run([sys.executable, "-m", "dvc", "cache", "dir"], cwd=params.ROOT, check=True, stdout=subprocess.PIPE)
    cache, missing = Path(asked.stdout.decode().strip()), []
    for stage in (params.read(BEFORE / "dvc.lock").get("stages") or {}).values():
        for out in stage.get("outs", ()):
            if out["path"].startswith(ARRAYS):
                source, target = cache / "files" / "md5" / out["md5"][:2] / out["md5"][2:], BEFORE / out["path"]
                if source.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(source, target)
                else:
                    missing.append(out["path"])
    return missing


def diff(revision: str) -> None:
    said = git("log", "-1", "--format=%h, %s", revision, "--").decode().strip()
    missing = restore(revision)
    page = notebook.render(
        "diff", "diff", title="What changed", before=str(BEFORE), revision=f"{revision} ({said})", missing=" ".join(missing)
    )
    with store.writing(PAGE) as temporary:
        temporary.write_text(page, encoding="utf-8")
    print(f"page: {PAGE}")


if __name__ == "__main__":
    run(diff, "revision")
