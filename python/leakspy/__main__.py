"""`python -m leakspy`: the program, with the same arguments."""

import os
import sys

from leakspy._program import LeakspyError, binary


def main() -> None:
    try:
        program = binary()
    except LeakspyError as error:
        sys.exit(f"leakspy: {error}")
    os.execv(program, [program, *sys.argv[1:]])


if __name__ == "__main__":
    main()
