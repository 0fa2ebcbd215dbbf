"""A process that does what it is told to a queue in a file, says what it was answered, and is killed.

`python victim.py`: URL and operations come on its standard input, as a pickle; each answer goes to its
standard output as soon as it is there.
"""

import os
import pickle
import sys

from worq.queue.sqlite import TaskQueue
from worq.testing.driver import carry_out


def main() -> None:
    url, name, program = pickle.load(sys.stdin.buffer)  # noqa: S301 (from the test)
    queue = TaskQueue(url, name)
    for do in program:
        answer = pickle.dumps(carry_out(queue, do))
        os.write(1, len(answer).to_bytes(4) + answer)


if __name__ == "__main__":
    main()
