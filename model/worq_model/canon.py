"""What two states of a queue have in common when only names tell them apart. Deadlines are places in their order.

An id and an incarnation are worth their age. What no operation that can still come will ask for is
left out; a test compares what states of one canon can do.
"""

from collections.abc import Hashable, Mapping

from worq_model.values import COMPLETED, PENDING, State, Task


def canon(state: State) -> Hashable:
    """For the contract, whose operations name every task by its present token."""
    names = {task.id: age for age, task in enumerate(state.tasks)}
    tasks = tuple([_essence(task, names) for task in state.tasks])
    return tasks, tuple([names[task_id] for task_id in state.ready])


def canon_by_hand(state: State) -> Hashable:
    """For the operations of the API reference: they reserve arguments one by one, also those that aren't there yet."""
    names = {task.id: age for age, task in enumerate(state.tasks)}
    for task in state.tasks:
        for argument in task.arguments:
            names.setdefault(argument.id, len(names))
    answers = tuple(
        [
            tuple([a.answer for a in task.arguments if a.held is None])
            for task in state.tasks
            if task.state == PENDING
        ]
    )
    tasks = tuple([_essence(task, names) for task in state.tasks])
    return tasks, tuple([names[task_id] for task_id in state.ready]), answers


def _essence(task: Task, names: Mapping[str, int]) -> Hashable:
    """Of a COMPLETED task the kind of its outcome; of the others what decides how they can go on."""
    if task.state == COMPLETED:
        return task.outcome and task.outcome.kind, task.deadline_ms
    options = task.options
    dependent = None if task.dependent_id is None else names[task.dependent_id]
    essence = (
        task.state,
        options.ignore_result,
        options.retention_ms is None,
        options.attempts - task.start,
        task.deadline_ms,
        dependent,
    )
    if task.state != PENDING:
        return essence
    missing = tuple([names[a.id] for a in task.arguments if a.held is None])
    return *essence, options.passes_errors, missing
