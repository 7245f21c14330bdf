"""A pytest plugin that repeats a test while leakspy looks at the process from outside.

    @pytest.mark.leaks(limit="100 KiB", steps=20, warmup=3)
    def test_requests_leave_nothing_behind(client):
        client.get("/")

`pytest --leakspy` does so with every test. What grows with each step, by more than the limit in all of them together,
fails it: with what holds it, and with the line that adds to it. Nothing in the tested process is
traced. Fixtures are set up once: the body of the test is what is repeated.
"""

from typing import Any, Generator, Iterator, Optional

import pytest

from leakspy._program import LeakspyError
from leakspy._repetition import Plan, repeat
from leakspy._results import Finding, Frame
from leakspy._sizes import readable


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("leakspy")
    group.addoption(
        "--leakspy",
        action="store_true",
        help="repeat every test, and fail it if memory grows each time (otherwise only tests marked `leaks`)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "leaks(limit='0 B', steps=20, warmup=3): repeat the test so many times (8 or more) after a warm-up, and fail "
        "it if memory grows with each of them, by more than `limit` in all (leakspy)",
    )


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, None]:
    outcome = yield
    plan = _plan(item)
    if plan is None or outcome.excinfo is not None:
        return
    try:
        repeated = repeat(item.runtest, plan)
        report = "\n\n".join(_lines(finding) for finding in repeated.leaks)
        if report:
            pytest.fail(f"memory grows each time this test runs\n\n{report}", pytrace=False)
    except LeakspyError as error:
        outcome.force_exception(pytest.UsageError(f"leakspy: {error}"))
    except BaseException as error:
        outcome.force_exception(error)


def _plan(item: pytest.Item) -> Optional[Plan]:
    mark = item.get_closest_marker("leaks")
    if mark is not None:
        return Plan.of(*mark.args, **mark.kwargs)
    return Plan.of() if item.config.getoption("--leakspy") else None


def _lines(finding: Finding) -> str:
    return "\n".join(_about(finding))


def _about(finding: Finding) -> Iterator[str]:
    """What a person has to know of a leak. Rates are per step."""
    yield f"{finding.type or 'native memory'}: +{readable(finding.bytes_per_s)} each time"
    yield f"  held by  {finding.holder.path}"
    for feeder in finding.feeders[:3]:
        frame = feeder.own_frame or (feeder.stack[0] if feeder.stack else None)
        if frame is not None:
            yield f"  fed by   {_place(frame)}"
    if not finding.feeders and finding.unseen is not None:
        yield f"  nobody was seen to add to it ({finding.unseen.reason})"
    if finding.hint:
        yield f"  likely   {finding.hint}"


def _place(frame: Frame) -> str:
    line = "" if frame.line is None else f":{frame.line}"
    return f"{frame.function} ({frame.file}{line})"
