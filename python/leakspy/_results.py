"""The answers, as docs/json.md describes them.

Keys that this version does not know are left out here; `Verdict.document` and `Heap.document` have all of them.
"""

from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Dict, List, Mapping, Optional, Type, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


@dataclass(frozen=True)
class Frame:
    """A line of a function."""

    function: str
    file: str
    line: Optional[int]
    # None if it is not known, or the file changed after the program had been started.
    source: Optional[str] = None


@dataclass(frozen=True)
class Holder:
    """What holds what grows."""

    path: str
    name: str
    type: str
    address: Optional[int]


@dataclass(frozen=True)
class Feeder:
    """A stack that adds to a leak, the inserting frame first."""

    share: float
    hits: int
    stack: List[Frame]
    own_frame: Optional[Frame]


@dataclass(frozen=True)
class Unseen:
    """Why nobody was seen to add to a leak."""

    reason: str
    watched_s: float


@dataclass(frozen=True)
class Until:
    """From when on code removes from a collection."""

    items: Optional[int] = None
    age_s: Optional[float] = None


@dataclass(frozen=True)
class Removal:
    """Code that removes from what grows."""

    place: Frame
    call: str
    until: Optional[Until]


@dataclass(frozen=True)
class Traffic:
    """The items that were seen to be put in and taken out."""

    put_in: int
    taken_out: int


@dataclass(frozen=True)
class Finding:
    """What grows. After a hunt by steps, the figures "per second" are per step."""

    kind: str
    type: str
    function: Optional[Frame]
    holder: Holder
    also: List[str]
    objects_per_s: float
    bytes_per_s: float
    bytes_per_object: float
    confidence: float
    hint: str
    feeders: List[Feeder]
    unseen: Optional[Unseen]
    removal: Optional[Removal] = None
    traffic: Optional[Traffic] = None


@dataclass(frozen=True)
class Limit:
    """The most items that a collection takes."""

    items: int
    name: str
    is_certain: bool


@dataclass(frozen=True)
class Filling:
    """A collection that grows towards a limit, and is no leak."""

    growth: Finding
    limit: Optional[Limit]
    full_in_s: float
    bytes_to_come: float


@dataclass(frozen=True)
class Undecided:
    """Growth of which it is not known whether it is a leak."""

    growth: Finding
    tells_in_s: float
    slows: bool = False


@dataclass(frozen=True)
class Pause:
    """How long a process was paused, in seconds."""

    max: float
    total: float


@dataclass(frozen=True)
class Verdict:
    """The answer of `leakspy hunt`."""

    pid: int
    command: str
    python: str
    duration_s: float
    captures: int
    complete: bool
    pause_s: Pause
    objects: int
    bytes: int
    rss_bytes: int
    rss_bytes_per_s: float
    findings: List[Finding]
    filling: List[Filling]
    undecided: List[Undecided]
    steps: Optional[int] = None
    subprocesses: List["Verdict"] = field(default_factory=list)
    together: Optional["Verdict"] = None
    document: Dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, document: Dict[str, Any]) -> "Verdict":
        return _read(cls, {**document, "document": document})


@dataclass(frozen=True)
class TypeFigures:
    """The live objects of a type."""

    type: str
    count: int
    tracked_count: Optional[int]
    shallow: int
    external: int
    retained: Optional[int]


@dataclass(frozen=True)
class Heap:
    """The answer of `leakspy heap`."""

    pid: int
    command: str
    python: str
    time_s: float
    pause_s: float
    copied_bytes: int
    rss_bytes: int
    objects: int
    shallow_bytes: int
    external_bytes: int
    inconsistencies: int
    types: List[TypeFigures]
    document: Dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, document: Dict[str, Any]) -> "Heap":
        return _read(cls, {**document, "document": document})


def _read(cls: Type[T], document: Mapping[str, Any]) -> T:
    hints = get_type_hints(cls)
    present = {it.name: document[it.name] for it in fields(cls) if it.name in document}  # type: ignore[arg-type]
    return cls(**{name: _value(hints[name], value) for name, value in present.items()})


def _value(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if get_origin(kind) is Union:
        return _value(get_args(kind)[0], value)
    if get_origin(kind) is list:
        return [_value(get_args(kind)[0], item) for item in value]
    return _read(kind, value) if isinstance(kind, type) and is_dataclass(kind) else value
