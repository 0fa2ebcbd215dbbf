"""What two states of a queue have in common when only names tell them apart. Their deadlines are places in an order.

An id and an incarnation are worth their age. What no operation will ask for any more is left out. A test
looks whether states of one canon can indeed do the same.
"""

from collections.abc import Hashable, Mapping

from worq_model.values import COMPLETED, PENDING, State, Task


def canon(state: State) -> Hashable:
    """For the contract: of its arguments a task only needs to know which are missing."""
    names = {task.id: age for age, task in enumerate(state.tasks)}
    tasks = tuple([(*_essence(task, names), _missing(task, names)) for task in state.tasks])
    return tasks, tuple([names[task_id] for task_id in state.ready])


def canon_by_hand(state: State) -> Hashable:
    """For the API reference: arguments are reserved and set one by one, and need not be there."""
    names = {task_id: number for number, task_id in enumerate(known_ids(state))}
    tasks = tuple([(*_essence(task, names), _reservable(task, names)) for task in state.tasks])
    return tasks, tuple([names[task_id] for task_id in state.ready])


def known_ids(state: State) -> list[str]:
    """The ids of the tasks, oldest first; then those that only dependents know, by who waits for them."""
    ids = [task.id for task in state.tasks]
    dependents: dict[str, list[int]] = {}
    for age, task in enumerate(state.tasks):
        for argument in task.arguments:
            if argument.held is None and argument.id not in ids:
                dependents.setdefault(argument.id, []).append(age)
    return ids + sorted(dependents, key=lambda task_id: dependents[task_id])


def _essence(task: Task, names: Mapping[str, int]) -> tuple[Hashable, ...]:
    """Of what is COMPLETED the kind of its outcome; of the others what decides how they go on."""
    if task.state == COMPLETED:
        return task.state, task.outcome and task.outcome.kind, task.deadline_ms
    options = task.options
    return (
        task.state,
        options.ignore_result,
        options.retention_ms is None,
        task.starts_left,
        task.deadline_ms,
        None if task.dependent_id is None else names[task.dependent_id],
    )


def _missing(task: Task, names: Mapping[str, int]) -> Hashable:
    """What on_error decides about, and on_error itself."""
    if task.state != PENDING:
        return None
    missing = [names[argument.id] for argument in task.arguments if argument.held is None]
    return task.options.passes_errors, frozenset(missing)


def _reservable(task: Task, names: Mapping[str, int]) -> Hashable:
    """Besides, what is answered when a missing one is reserved again."""
    if task.state != PENDING:
        return None
    missing = [(names[a.id], a.answer) for a in task.arguments if a.held is None]
    return task.options.passes_errors, frozenset(missing)
