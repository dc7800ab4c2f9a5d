"""What a workload's calls do, and what they must give back: bench/workload.ts and bench/humq/functions.ts in Python."""

import time


def call(index, text, kind, ms):
    if kind == "sleep":
        time.sleep(ms / 1000)
    elif kind == "cpu":
        until = time.thread_time() + ms / 1000
        while time.thread_time() < until:
            pass
    return [2 * index + 1, text]


def text_of(index, size):
    return f"{index}:".ljust(size, ".")


class DeliveryCheck:
    """bench/delivery.ts in Python."""

    def __init__(self, calls, payload_bytes):
        self.seen = bytearray(calls)
        self.payload_bytes = payload_bytes
        self.count = self.twice = self.wrong = 0

    def take(self, index, value):
        if not 0 <= index < len(self.seen):
            self.wrong += 1
        elif self.seen[index]:
            self.twice += 1
        else:
            self.seen[index] = 1
            self.count += 1
            if list(value) != [2 * index + 1, text_of(index, self.payload_bytes)]:
                self.wrong += 1

    def end(self):
        return {"missing": len(self.seen) - self.count, "twice": self.twice, "wrong": self.wrong}
