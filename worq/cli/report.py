"""What `worq demo` found, for people and for machines."""

import json
from typing import NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worq.cli.run import Counted
from worq.cli.wordcount import Unread

TOP = 20
UNREAD_SHOWN = 10
DIFFERENCES_SHOWN = 10


class Report(NamedTuple):
    """One run. `left` is how many tasks wait in its queue at the end; `unread` has folders too."""

    url: str
    queue: str
    workers: int
    tasks: int
    counted: Counted
    serial: Counted
    unread: tuple[Unread, ...]
    left: int

    @property
    def is_same(self) -> bool:
        return self.counted.tally == self.serial.tally

    def as_json(self) -> str:
        words = self.counted.tally.words
        return json.dumps(
            {
                "url": self.url,
                "queue": self.queue,
                "workers": self.workers,
                "files": self.counted.tally.files,
                "unread": [each._asdict() for each in self.unread],
                "tasks": self.tasks,
                "left_in_queue": self.left,
                "seconds": round(self.counted.seconds, 3),
                "serial_seconds": round(self.serial.seconds, 3),
                "same": self.is_same,
                "different_identifiers": len(words),
                "identifiers": words.total(),
                "top": _top(self.counted, TOP),
            }
        )

    def show(self, console: Console) -> None:
        for line in self._unread_lines():
            _say(console, line)
        _say(console, "the most frequent identifiers:")
        console.print(self._table())
        for line in self._lines():
            _say(console, line)

    def _table(self) -> Table:
        table = Table("identifier", box=box.SIMPLE_HEAD)
        table.add_column("times", justify="right")
        for word, times in _top(self.counted, TOP):
            table.add_row(Text(word), f"{times:,}")
        return table

    def _unread_lines(self) -> list[str]:
        lines = [f"not counted: {each.path!r}: {each.reason}" for each in self.unread]
        if len(lines) <= UNREAD_SHOWN:
            return lines
        return [*lines[:UNREAD_SHOWN], f"not counted: {len(lines) - UNREAD_SHOWN:,} more"]

    def _lines(self) -> list[str]:
        words = self.counted.tally.words
        took = f"{self.tasks:,} in {self.counted.seconds:.1f} s"
        return [
            f"files   {self.counted.tally.files:,} counted, {len(self.unread):,} could not be read",
            f"words   {words.total():,} identifiers, {len(words):,} different ones",
            f"tasks   {took} by {self.workers} threads on {self.url} [{self.queue}]",
            f"left    {self.left} tasks in the queue",
            *self._verdict(),
        ]

    def _verdict(self) -> list[str]:
        took = f"check   counted without a queue in {self.serial.seconds:.1f} s"
        if self.is_same:
            return [f"{took}: the same"]
        counted, serial = self.counted.tally.words, self.serial.tally.words
        differ = sorted(
            word for word in counted.keys() | serial.keys() if counted[word] != serial[word]
        )
        return [
            f"{took}: NOT THE SAME (has a file changed meanwhile?)",
            *(
                f"  {word}: {counted[word]:,} by tasks, {serial[word]:,} without"
                for word in differ[:DIFFERENCES_SHOWN]
            ),
        ]


def _top(counted: Counted, number: int) -> list[tuple[str, int]]:
    """The most frequent; of two that are equally frequent the first in the alphabet."""
    words = counted.tally.words
    return sorted(words.items(), key=lambda item: (-item[1], item[0]))[:number]


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
