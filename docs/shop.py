"""A service that never forgets a session."""

import threading
import time

CACHE = {}


class Session:
    def __init__(self, number):
        self.user = "user %d" % number
        self.body = "x" * 300


def remember(number):
    CACHE[number] = Session(number)


def serve():
    number = 0
    while True:
        number += 1
        remember(number)
        time.sleep(0.005)


threading.Thread(target=serve, name="server").start()
print("open", flush=True)
