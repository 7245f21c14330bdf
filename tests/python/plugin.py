"""The pytest plugin on a suite in which five tests leak and ten only seem to.

Needs pytest, the package on $PYTHONPATH, and $LEAKSPY_BINARY.
"""

import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as tree

HERE = pathlib.Path(__file__).parent
SUITE = (HERE / "leaking_suite.py").read_text()
# Parts that run side by side.
PARTS = ("test_leaks", "test_a_ or test_the_", "not test_leaks and not test_a_ and not test_the_")

MARKS = '''
import pytest

RUNS, KEPT = [], []

def test_unmarked():
    RUNS.append(1)

def test_once():
    assert len(RUNS) == 1

@pytest.mark.leaks(limit="1 GiB", steps=10, warmup=2)
def test_below_the_limit():
    KEPT.append(bytearray(3000))

def test_repeated():
    assert len(KEPT) == 1 + 2 + 10

@pytest.mark.leaks
def test_fails():
    assert not KEPT, "its own failure"
'''


def results(suite, *options):
    """Runs a suite: what each of its tests says if it fails."""
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "test_suite.py").write_text(suite)
        report = pathlib.Path(folder, "results.xml")
        command = [sys.executable, "-m", "pytest", "-p", "leakspy.pytest_plugin", "-p", "no:cacheprovider", "-q"]
        command += ["--junitxml", str(report), *options]
        output = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert report.exists(), output.stdout.decode()
        said = {}
        for case in tree.parse(report).iter("testcase"):
            failure = next((it for it in case if it.tag in ("failure", "error")), None)
            said[case.get("name")] = None if failure is None else failure.text
        return said


def line_of(leak):
    (number,) = (n for n, line in enumerate(SUITE.splitlines(), 1) if line.endswith(f"# leaks: {leak}"))
    return number


def exactly_what_leaks_fails():
    with concurrent.futures.ThreadPoolExecutor() as pool:
        parts = list(pool.map(lambda part: results(SUITE, "-k", part), PARTS))
    said = {name: failure for part in parts for name, failure in part.items()}
    assert len(said) == 15, said
    for name, failure in said.items():
        if not name.startswith("test_leaks_"):
            assert failure is None, f"{name}: {failure}"
            continue
        line = line_of(name[len("test_leaks_") :])
        assert failure is not None, f"{name} has passed"
        assert f"test_suite.py:{line})" in failure, f"{name}, line {line}: {failure}"
        assert "held by  module test_suite" in failure, f"{name}: {failure}"


def only_what_is_marked_is_repeated():
    said = results(MARKS)
    assert [name for name, failure in said.items() if failure] == ["test_fails"], said
    assert "its own failure" in said["test_fails"], said
    said = results(MARKS, "--leakspy", "-k", "test_unmarked or test_once")
    assert said["test_once"] is not None, said


for check in (exactly_what_leaks_fails, only_what_is_marked_is_repeated):
    check()
print("ok")
