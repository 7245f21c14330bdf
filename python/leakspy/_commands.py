"""The commands that have an answer to read."""

import ctypes
import json
import os
import pathlib
from typing import Any, List, Optional, Union

from leakspy._program import run
from leakspy._results import Heap, Verdict

Path = Union[str, "os.PathLike[str]"]


def hunt(
    pid: Optional[int] = None, *, duration: Optional[float] = None, subprocesses: bool = True
) -> Verdict:
    """What leaks in a process, what holds it, and which lines add to it.

    Without a PID it is this process; other threads go on meanwhile. `duration` is in seconds. Raises
    `LeakspyError`.
    """
    arguments = ["hunt", "--json", *_of(pid)]
    if duration is not None:
        arguments += ["--duration", str(duration)]
    if not subprocesses:
        arguments.append("--no-subprocesses")
    return Verdict.read(_json(arguments))


def heap(pid: Optional[int] = None, *, file: Optional[Path] = None) -> Heap:
    """The live objects of a process, or of a file that `snapshot` wrote, by type.

    Without either it is this process. Raises `LeakspyError`.
    """
    source = [os.fspath(file)] if file is not None else _of(pid)
    return Heap.read(_json(["heap", "--json", *source]))


def snapshot(path: Path, pid: Optional[int] = None) -> pathlib.Path:
    """Writes the heap of a process, without values, into a file, which `heap` and the commands of leakspy read.

    Without a PID it is this process. Returns the path. Raises `LeakspyError`.
    """
    run("snapshot", *_of(pid), "--output", path)
    return pathlib.Path(path)


def _json(arguments: List[str]) -> Any:
    return json.loads(run(*arguments))


def _of(pid: Optional[int]) -> List[str]:
    if pid is None:
        allow_tracing()
        pid = os.getpid()
    return ["--pid", str(pid)]


def allow_tracing() -> None:
    """Lets leakspy, a child, look at this process where Yama allows that to ancestors only."""
    pr_set_ptracer, any_process = 0x59616D61, ctypes.c_ulong(-1)
    ctypes.CDLL(None).prctl(pr_set_ptracer, any_process, 0, 0, 0)
