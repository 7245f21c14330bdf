"""Repeats a function, step by step, while leakspy looks at this process from outside between the steps."""

import contextlib
import json
import logging
import os
import select
import shlex
import subprocess
import tempfile
import warnings
from dataclasses import dataclass
from typing import IO, Any, Callable, Iterator, List, Union

from leakspy._commands import allow_tracing
from leakspy._program import LeakspyError, binary
from leakspy._results import Finding, Verdict
from leakspy._sizes import parse

# How often it is checked whether leakspy still runs, in seconds.
_TICK = 0.1


@dataclass(frozen=True)
class Plan:
    """How a test is repeated, and what is allowed."""

    limit: float
    steps: int
    warmup: int

    @classmethod
    def of(cls, limit: Union[int, float, str] = 0, steps: int = 20, warmup: int = 3) -> "Plan":
        return cls(parse(limit), steps, warmup)


@dataclass(frozen=True)
class Repeated:
    """What came of it."""

    plan: Plan
    verdict: Verdict

    @property
    def leaks(self) -> List[Finding]:
        """What grew with each step, by more than the limit in all. Rates are per step, not per second."""
        return [it for it in self.verdict.findings if it.bytes_per_s * self.plan.steps > self.plan.limit]


def repeat(function: Callable[[], Any], plan: Plan) -> Repeated:
    """Warms up, then calls `function` for each step that leakspy asks for. Raises what the function raises."""
    with _unrecorded(), tempfile.TemporaryDirectory(prefix="leakspy-") as folder:
        for _ in range(plan.warmup):
            function()
        return Repeated(plan, _hunt(function, plan, folder))


def _hunt(function: Callable[[], Any], plan: Plan, folder: str) -> Verdict:
    allow_tracing()
    asked, done = os.path.join(folder, "asked"), os.path.join(folder, "done")
    os.mkfifo(asked)
    os.mkfifo(done)
    command = [binary(), "hunt", "--json", "--no-subprocesses", "--pid", str(os.getpid())]
    command += ["--every", f"echo step > {shlex.quote(asked)} && read done < {shlex.quote(done)}"]
    command += ["--times", str(plan.steps), "--warm-up", "0"]
    # Files, not pipes: leakspy would wait for room in a pipe that nobody reads while the function runs.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        hunt = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        try:
            _answer(function, hunt, asked, done)
        finally:
            hunt.kill()
            hunt.wait()
        if hunt.returncode != 0:
            raise LeakspyError(_text(err).strip(), hunt.returncode)
        return Verdict.read(json.loads(_text(out)))


def _answer(function: Callable[[], Any], hunt: "subprocess.Popen[bytes]", asked: str, done: str) -> None:
    """Calls the function each time that it is asked to, until the hunt is over."""
    with contextlib.ExitStack() as stack:
        # Open for both, so that neither opening nor writing waits for the other side.
        question, answer = os.open(asked, os.O_RDWR), os.open(done, os.O_RDWR)
        stack.callback(os.close, question)
        stack.callback(os.close, answer)
        while hunt.poll() is None:
            if select.select([question], [], [], _TICK)[0]:
                os.read(question, 100)
                function()
                os.write(answer, b"done\n")


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


@contextlib.contextmanager
def _unrecorded() -> Iterator[None]:
    """Keeps pytest from recording what the repetitions print, log and warn of: its records grow, too."""
    root = logging.getLogger()
    recording = [it for it in root.handlers if type(it).__module__.startswith("_pytest.")]
    with contextlib.ExitStack() as stack:
        nowhere = stack.enter_context(open(os.devnull, "w"))
        stack.enter_context(contextlib.redirect_stdout(nowhere))
        stack.enter_context(contextlib.redirect_stderr(nowhere))
        stack.enter_context(warnings.catch_warnings())
        warnings.showwarning = lambda *_, **__: None
        for handler in recording:
            root.removeHandler(handler)
            stack.callback(root.addHandler, handler)
        yield
