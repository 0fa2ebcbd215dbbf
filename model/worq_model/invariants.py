"""What holds in every state of a queue, by name. SPEC.md, sections 3 to 5."""

from collections.abc import Callable

from worq_model.values import (
    COMPLETED,
    ENQUEUED,
    PENDING,
    PROCESSING,
    State,
    argument_of,
    find,
    is_older,
    misses,
)


def ids_are_unique(state: State) -> bool:
    return len({task.id for task in state.tasks}) == len(state.tasks)


def incarnations_are_unique(state: State) -> bool:
    return len({task.incarnation for task in state.tasks}) == len(state.tasks)


def ready_is_what_is_enqueued(state: State) -> bool:
    enqueued = {task.id for task in state.tasks if task.state == ENQUEUED}
    return set(state.ready) == enqueued and len(state.ready) == len(enqueued)


def pending_is_what_misses_an_argument(state: State) -> bool:
    return all(misses(task) == (task.state == PENDING) for task in state.tasks)


def only_leases_and_retentions_are_deadlines(state: State) -> bool:
    """[TIM-7]"""
    for task in state.tasks:
        if task.state in (PENDING, ENQUEUED) and task.deadline_ms is not None:
            return False
        if task.state == PROCESSING and task.deadline_ms is None:
            return False
    return True


def outcomes_are_kept_by_the_completed(state: State) -> bool:
    return all((task.outcome is not None) == (task.state == COMPLETED) for task in state.tasks)


def a_kept_outcome_has_no_other_consumer(state: State) -> bool:
    """What is COMPLETED is neither reserved nor fire-and-forget. [FIN-2] [FIN-3]"""
    completed = [task for task in state.tasks if task.state == COMPLETED]
    return all(task.dependent_id is None and not task.options.ignore_result for task in completed)


def each_reservation_has_a_living_reserver(state: State) -> bool:
    """The dependent is PENDING, misses the argument, and was promised that incarnation. [OUT-7]"""
    for task in state.tasks:
        if task.dependent_id is None:
            continue
        dependent = find(state, task.dependent_id)
        argument = None if dependent is None else argument_of(dependent, task.id)
        if (
            argument is None
            or argument.held is not None
            or argument.incarnation != task.incarnation
        ):
            return False
    return True


def each_promise_is_kept(state: State) -> bool:
    """An argument that was promised and has not arrived is there, and knows its dependent: nothing is stranded."""
    for dependent in state.tasks:
        for argument in dependent.arguments:
            if argument.held is None and argument.answer == "promised":
                task = find(state, argument.id, argument.incarnation)
                if task is None or task.dependent_id != dependent.id:
                    return False
    return True


def reservations_make_no_cycle(state: State) -> bool:
    """[TOK-4]"""
    pairs = [
        (task, find(state, task.dependent_id))
        for task in state.tasks
        if task.dependent_id is not None
    ]
    return all(
        dependent is not None and is_older(state, task, dependent) for task, dependent in pairs
    )


def starts_are_bounded(state: State) -> bool:
    """Started at most `attempts` times, given back not counted; a fire-and-forget task is gone at its last start.

    [CLM-3] [TIM-4] [REL-3]
    """
    for task in state.tasks:
        most = task.options.attempts - (task.options.ignore_result and task.state == PROCESSING)
        if not (task.state == PROCESSING) <= task.start - task.given_back <= most:
            return False
    return True


INVARIANTS: dict[str, Callable[[State], bool]] = {
    invariant.__name__: invariant
    for invariant in (
        ids_are_unique,
        incarnations_are_unique,
        ready_is_what_is_enqueued,
        pending_is_what_misses_an_argument,
        only_leases_and_retentions_are_deadlines,
        outcomes_are_kept_by_the_completed,
        a_kept_outcome_has_no_other_consumer,
        each_reservation_has_a_living_reserver,
        each_promise_is_kept,
        reservations_make_no_cycle,
        starts_are_bounded,
    )
}


def broken(state: State) -> list[str]:
    """The names of the invariants that do not hold: none, in every state that can be reached."""
    return [name for name, holds in INVARIANTS.items() if not holds(state)]
