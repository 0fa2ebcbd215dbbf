"""The tables as Markdown and Mermaid, for SPEC.md. Text from values: nothing is read or written here."""

from collections.abc import Callable

from worq_model import lifecycle_table, table
from worq_model.catalogue import BY_HAND, ByHand
from worq_model.explore import explore
from worq_model.history import as_program
from worq_model.values import ABSENT


def render(name: str) -> str:
    """The generated part of SPEC.md between the markers of that name."""
    return _PARTS[name]()


def diagram() -> str:
    """The arrows of the queue's table, one for each pair of states."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for row in table.ROWS:
        if row.state != row.becomes:
            events = arrows.setdefault((_node(row.state), _node(row.becomes)), [])
            if row.event.value not in events:
                events.append(row.event.value)
    lines = [
        f"    {start} --> {end}: {', '.join(events)}" for (start, end), events in arrows.items()
    ]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def queue() -> str:
    """All rows of the queue's table, and the pairs that never meet."""
    head = ["| event | state | case | becomes | answer | clauses |", "|---|---|---|---|---|---|"]
    rows = [
        f"| {row.event.value} | {row.state} | {row.case} | {_change(row.state, row.becomes)} | {row.answer} "
        f"| {' '.join(row.clauses)} |"
        for row in table.ROWS
    ]
    never = [f"| {event.value} | {state} | {why} |" for (event, state), why in table.NEVER.items()]
    return "\n".join(
        [*head, *rows, "", "Never:", "", "| event | state | why |", "|---|---|---|", *never]
    )


def lifecycle() -> str:
    """All rows of the life cycle's table."""
    head = ["| event | Deferred | case | becomes | answer | clauses |", "|---|---|---|---|---|---|"]
    rows = [
        f"| {row.event.value} | {row.holds} | {row.case} | {_change(row.holds, row.becomes)} | {row.answer} "
        f"| {' '.join(row.clauses)} |"
        for row in lifecycle_table.ROWS
    ]
    return "\n".join([*head, *rows])


def _change(before: str, after: str) -> str:
    return "same" if before == after else after


def _node(state: str) -> str:
    return "[*]" if state == ABSENT else state.upper()


def stranded() -> str:
    """What happens to those who compose the life of a task by hand: the shortest histories that the explorer finds."""
    return "\n\n".join(_shown(by_hand) for by_hand in BY_HAND.values())


def _shown(by_hand: ByHand) -> str:
    report = explore(by_hand.system())
    labels = [label for label, _ in report.trace]
    return f"{by_hand.why}\n\n```python\n{as_program(labels, api=True)}\n```"


_PARTS: dict[str, Callable[[], str]] = {
    "diagram": diagram,
    "queue": queue,
    "lifecycle": lifecycle,
    "stranded": stranded,
}
