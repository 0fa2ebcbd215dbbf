"""Methods as tasks: they run on an object of the worker's, which may hold a connection, a model, a cache.

Prints:
    1 word(s) known
    2 word(s) known
    hej
"""

import sys

from worq import TaskSpace, get_broker
from worq.pool.thread import WorkerPool


class Dictionary:
    def __init__(self, language: str) -> None:
        self.language = language
        self.words: dict[str, str] = {}

    def learn(self, word: str, meaning: str) -> str:
        self.words[word] = meaning
        return f"{len(self.words)} word(s) known"

    def translate(self, word: str) -> str:
        return self.words[word]


def main(url: str) -> None:
    swedish = Dictionary("sv")
    space = TaskSpace(swedish.language)
    space.task(swedish.learn)
    space.task(swedish.translate)
    with get_broker(url, "words") as broker:
        broker.expose(space)
        queue = broker.queue("sv")
        with WorkerPool(broker, workers=1):  # threads would share the object
            for call in (
                queue.learn("hello", "hej"),
                queue.learn("goodbye", "hej då"),
                queue.translate("hello"),
            ):
                call.wait(timeout=10)
                print(call.value)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "memory://")
