"""Ctrl-C is Ctrl-C, whatever a framework makes of the exception that it meets in the middle of something."""

import signal
import subprocess
import sys

import pytest

from pipeline.params import ROOT
from stages.watch import STOPPED

SCRIPT = """
import time
import stages
from stages import watch

watch.end_in_time()
try:
    print("on", flush=True)
    time.sleep(30)
except KeyboardInterrupt:
    {raises}
"""


@pytest.mark.parametrize("raises", ["raise", "raise ImportError('initialization failed')", "stages.leave('no room', 2)"])
def test_it_is_told_in_one_line_whatever_becomes_of_the_exception(raises):
    script = SCRIPT.format(raises=raises)
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[0] == f"{STOPPED}\n"
    assert process.returncode == 130


def test_another_mistake_is_told_as_it_is():
    script = "from stages import watch\nwatch.end_in_time()\nraise ImportError('no such thing')"
    process = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert process.stderr.startswith("Traceback") and "no such thing" in process.stderr and STOPPED not in process.stderr
