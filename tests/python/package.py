"""The Python package against a process that leaks: run with its path on sys.path and $LEAKSPY_BINARY set."""

import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

import leakspy

KEPT = []


class Kept:
    def __init__(self, number):
        self.text = "x" * 300 + str(number)


def keep():
    number = 0
    while True:
        number += 1
        KEPT.append(Kept(number))
        time.sleep(0.002)


def check_heap():
    heap = leakspy.heap()
    assert heap.pid == os.getpid()
    assert heap.python.startswith("{}.{}.".format(*sys.version_info[:2]))
    assert heap.objects == sum(figures.count for figures in heap.types) > 10_000
    assert any(figures.type == "dict" and figures.retained > 0 for figures in heap.types)
    assert heap.document["schema"] == 1


def check_snapshot():
    with tempfile.TemporaryDirectory() as folder:
        path = leakspy.snapshot(pathlib.Path(folder, "now.leakspy"))
        assert path.is_file()
        heap = leakspy.heap(file=path)
        assert heap.pid == os.getpid() and heap.objects > 10_000


def check_hunt():
    threading.Thread(target=keep, daemon=True).start()
    verdict = leakspy.hunt(duration=6)
    assert verdict.complete and verdict.captures >= 4, verdict
    finding = verdict.findings[0]
    assert finding.type == "__main__.Kept" and finding.kind == "container", verdict
    assert finding.holder.name == "__main__.KEPT", verdict
    frame = finding.feeders[0].own_frame
    assert frame.function == "keep" and frame.file == __file__, verdict
    assert verdict.pause_s.total >= verdict.pause_s.max > 0


def check_refusal():
    try:
        leakspy.heap(pid=1 << 22)
    except leakspy.LeakspyError as error:
        assert error.status == 1 and "no process" in str(error), error
    else:
        raise AssertionError("a process that is not there was read")


def check_module():
    command = [sys.executable, "-m", "leakspy", "--version"]
    assert subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.startswith(b"leakspy ")


for check in (check_heap, check_snapshot, check_hunt, check_refusal, check_module):
    check()
print("ok")
