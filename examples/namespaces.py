"""Name spaces: tasks of one name in several modules, and how a call names them.

Prints:
    text.length: 5
    files.length: 3
    all tasks: files.length, text.length
"""

import sys

from worq import TaskSpace, get_broker
from worq.pool.thread import WorkerPool

text = TaskSpace("text")
files = TaskSpace("files")


@text.task
def length(word: str) -> int:
    return len(word)


def length_of_files(names: list[str]) -> int:
    return len(names)


files.task(length_of_files, name="length")


def main(url: str) -> None:
    with get_broker(url, "lengths") as broker:
        broker.expose(text)
        broker.expose(files)
        queue = broker.queue()
        one = queue.text.length("hello")
        other = broker.queue("files").length(["a", "b", "c"])  # the same as queue.files.length
        with WorkerPool(broker):
            for deferred in (one, other):
                deferred.wait(timeout=10)
                print(f"{deferred.name}: {deferred.value}")
        print("all tasks:", ", ".join(sorted(broker.tasks)))
    assert length("abc") == 3  # a task is still a function


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "memory://")
