"""leakspy: where the memory of a Python process is, and what makes it grow.

This package runs the program `leakspy` and reads its JSON. It has no logic of its own: what the answers mean is
described in docs/json.md, and what each command does by `leakspy help COMMAND`.

    import leakspy

    verdict = leakspy.hunt(pid=1234, duration=30)
    for finding in verdict.findings:
        print(finding.type, finding.holder.path, finding.bytes_per_s)
"""

from leakspy._commands import heap, hunt, snapshot
from leakspy._program import LeakspyError, binary, run
from leakspy._results import (
    Feeder,
    Filling,
    Finding,
    Frame,
    Heap,
    Holder,
    Limit,
    Pause,
    Removal,
    Traffic,
    TypeFigures,
    Undecided,
    Unseen,
    Until,
    Verdict,
)

__all__ = [
    "Feeder",
    "Filling",
    "Finding",
    "Frame",
    "Heap",
    "Holder",
    "LeakspyError",
    "Limit",
    "Pause",
    "Removal",
    "Traffic",
    "TypeFigures",
    "Undecided",
    "Unseen",
    "Until",
    "Verdict",
    "binary",
    "heap",
    "hunt",
    "run",
    "snapshot",
]
