"""The tables are total, and say each thing once."""

from collections import Counter

from worq_model import lifecycle, lifecycle_table, table


def test_each_event_and_state_has_rows_or_a_reason_to_have_none() -> None:
    assert table.holes() == []


def test_no_case_of_the_queue_is_listed_twice() -> None:
    cases = Counter((row.event, row.state, row.case) for row in table.ROWS)
    assert [case for case, times in cases.items() if times > 1] == []


def test_no_case_of_the_life_cycle_is_listed_twice() -> None:
    cases = Counter((row.event, row.holds, row.case) for row in lifecycle_table.ROWS)
    assert [case for case, times in cases.items() if times > 1] == []


def test_a_failure_is_shown_with_its_name_its_queue_its_id_and_its_error() -> None:
    failure = lifecycle.Failure("TaskFailure", "f", "default", "7", "ValueError: no")
    assert str(failure) == "f [default:7] ValueError: no"
