"""Several runs at once: python -m tools.parallel <jobs>

DVC runs one stage after the other, but `repro --single-item` of different stages may run side by side as long as each waits
for DVC's lock. So a worker takes a run through its stages; what needs all runs comes last, in a plain `dvc repro`.
"""

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from pipeline import Refusal, params
from stages import ROOT, run

stopped = threading.Event()
OF_RUN = ("train", "estimate", "draw")  # the others take seconds


def dvc(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")


def alone(stages: list[str]) -> str | None:
    """Run these stages one after the other; the one that failed."""
    for stage in stages:
        if stopped.is_set():
            return None
        done = dvc("--wait-for-lock", "repro", "--single-item", stage)
        print(f"{stage}: {'done' if done.returncode == 0 else 'failed'}", flush=True)
        if done.returncode != 0:
            print(done.stdout, file=sys.stderr)
            return stage
    return None


def parallel(jobs: str) -> None:
    if not jobs.isdecimal() or int(jobs) < 1:
        raise Refusal(f"JOBS={jobs}: expected how many runs at once, 1 or more")
    signal.signal(signal.SIGINT, lambda *_: stopped.set())  # DVC and its stages hear of it themselves, and end in order
    done = dvc("repro", "check", "prepare")
    if done.returncode != 0:
        raise Refusal(done.stdout.strip())
    work = [["calibrate"], *([f"{stage}@{name}" for stage in OF_RUN] for name in params.read()["runs"])]
    with ThreadPoolExecutor(int(jobs)) as workers:
        failed = [stage for stage in workers.map(alone, work) if stage]
    if stopped.is_set():
        raise Refusal("stopped; `make parallel` goes on with what is unfinished")
    if failed:
        raise Refusal(f"failed: {', '.join(failed)}")
    if subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=ROOT).returncode != 0:
        raise Refusal("dvc repro failed, as it says above")


if __name__ == "__main__":
    run(parallel, "jobs")
