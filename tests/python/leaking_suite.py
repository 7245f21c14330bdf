"""Five tests that leak and ten that only seem to, for the pytest plugin."""

import asyncio
import collections
import functools
import logging
import threading
import warnings
import weakref

import pytest

pytestmark = pytest.mark.leaks(limit="1 KiB", steps=20, warmup=3)


class Session:
    def __init__(self, number):
        self.number = number
        self.body = "x" * 400 + str(number)


CACHE = {}
LISTENERS = []
BOUNDED = collections.OrderedDict()
QUEUE = collections.deque(maxlen=16)
SEEN = weakref.WeakValueDictionary()
COUNTER = iter(range(1 << 60))
READY = []


def test_leaks_into_a_dict():
    for _ in range(5):
        number = next(COUNTER)
        CACHE[number] = Session(number)  # leaks: into_a_dict


class Emitter:
    def on(self, listener):
        LISTENERS.append(listener)  # leaks: listeners


def test_leaks_listeners():
    for _ in range(5):
        session = Session(next(COUNTER))
        Emitter().on(lambda: session)


@functools.lru_cache(maxsize=None)
def rendered(number):
    return Session(number)


def test_leaks_into_a_cache_without_a_limit():
    for _ in range(5):
        rendered(next(COUNTER))  # leaks: into_a_cache_without_a_limit


def test_leaks_buffers():
    READY.append(bytearray(4096))  # leaks: buffers


class Handler(logging.Handler):
    def __init__(self):
        super().__init__()
        self.body = "x" * 500 + str(next(COUNTER))


LOGGER = logging.getLogger("app")


def test_leaks_handlers():
    for _ in range(2):
        LOGGER.addHandler(Handler())  # leaks: handlers


def test_temporaries():
    assert len([Session(number) for number in range(500)]) == 500


def test_reference_cycles():
    for number in range(50):
        session = Session(number)
        session.me = session


def test_a_bounded_cache():
    for _ in range(5):
        number = next(COUNTER)
        BOUNDED[number] = Session(number)
        while len(BOUNDED) > 8:
            BOUNDED.popitem(last=False)


def test_a_queue_with_a_limit():
    for _ in range(5):
        QUEUE.append(Session(next(COUNTER)))


def test_a_weak_dictionary():
    for _ in range(5):
        session = Session(next(COUNTER))
        SEEN[session.number] = session


def test_the_same_key():
    CACHE["latest"] = Session(next(COUNTER))


def test_threads_that_end():
    thread = threading.Thread(target=lambda: Session(1))
    thread.start()
    thread.join()


def test_an_event_loop():
    async def main():
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(20)))

    asyncio.run(main())


def test_printing_logging_and_warning(capsys):
    print("x" * 2000)
    logging.getLogger("quiet").warning("x" * 2000)
    warnings.warn("x" * 2000)


def test_a_fixture(tmp_path):
    (tmp_path / "file").write_text("x" * 2000)
    assert (tmp_path / "file").read_text()
