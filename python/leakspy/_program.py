"""The program: where it is, and running it."""

import os
import pathlib
import shutil
import subprocess
import sysconfig
from typing import Iterator, Union

Argument = Union[str, "os.PathLike[str]"]


class LeakspyError(Exception):
    """leakspy could not answer. The text is what it said on standard error."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status
        """Its exit status."""


def binary() -> str:
    """The path of the program: $LEAKSPY_BINARY, or the one that was installed with this package."""
    chosen = os.environ.get("LEAKSPY_BINARY")
    if chosen:
        return chosen
    for path in _places():
        if path.is_file() and os.access(path, os.X_OK):
            return str(path)
    found = shutil.which("leakspy")
    if found is None:
        raise LeakspyError("the program `leakspy` is not installed beside this package, and not on $PATH")
    return found


def _places() -> Iterator[pathlib.Path]:
    """Where pip puts programs: of this environment, of this user, and with `pip install --target`."""
    for scheme in (None, "posix_user"):
        folder = sysconfig.get_path("scripts", scheme) if scheme else sysconfig.get_path("scripts")
        yield pathlib.Path(folder, "leakspy")
    yield pathlib.Path(__file__).resolve().parent.parent / "bin" / "leakspy"


def run(*arguments: Argument) -> str:
    """Runs `leakspy` with these arguments and returns what it printed on standard output."""
    process = subprocess.run(
        [binary(), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    if process.returncode != 0:
        raise LeakspyError(process.stderr.strip(), process.returncode)
    return process.stdout
