"""What `worq demo` counts, and what it says of it."""

import io
import json
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from tests.cli.conftest import Run
from worq.cli import wordcount
from worq.cli.progress import progress
from worq.cli.report import Report
from worq.cli.run import Counted, count_with_tasks, plan
from worq.cli.sources import standard_library
from worq.cli.wordcount import Tally, Unread
from worq.core import Broker


def test_the_words_of_a_folder_are_counted(demo: Run, folder: Path, url: str) -> None:
    result = demo(folder, "--url", url, "--workers", 2, "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert found["top"] == [["spam", 4], ["egg", 2], ["ham", 1]]
    assert (found["identifiers"], found["different_identifiers"]) == (7, 3)
    assert (found["files"], found["unread"]) == (2, [])
    assert (found["tasks"], found["left_in_queue"], found["same"]) == (3, 0, True)
    assert result.stderr == ""


def test_people_get_a_table_and_the_result_of_the_check(demo: Run, folder: Path) -> None:
    result = demo(folder)
    assert result.exit_code == 0
    assert ["spam", "4"] in [line.split() for line in result.stdout.splitlines()]
    assert "files   2 counted, 0 could not be read" in result.stdout
    assert "tasks   3 in" in result.stdout
    assert "left    0 tasks in the queue" in result.stdout
    assert result.stdout.endswith(": the same\n")
    assert "0 of 3 tasks submitted" in result.stderr


def test_a_tall_tree_gives_what_a_plain_count_gives(folder: Path, broker: Broker) -> None:
    paths = [str(folder / "first.py")] * 7
    counted = count_with_tasks(broker, plan(paths, fan_in=2), workers=3, watch=see_nothing)
    assert counted.tally == Tally(Counter(spam=14, egg=7), 7, ())


def see_nothing(what: str, done: int, of: int) -> None:
    pass


def test_a_single_file_is_its_own_root(demo: Run, folder: Path) -> None:
    found = json.loads(demo(folder / "first.py", "--json").stdout)
    assert (found["tasks"], found["top"]) == (1, [["spam", 2], ["egg", 1]])


def test_a_file_is_read_whatever_its_name_is_and_counts_once(demo: Run, folder: Path) -> None:
    text = folder / "other.txt"
    found = json.loads(demo(text, folder / "first.py", folder, text, "--json").stdout)
    assert found["files"] == 3
    assert found["top"] == [["spam", 4], ["egg", 2], ["ham", 2]]


def test_a_tree_takes_each_result_once_and_after_it_was_submitted() -> None:
    steps = plan([f"{n}.py" for n in range(300)])
    ids = [step.id for step in steps]
    edges = [(step.id, argument) for step in steps for argument in step.arguments]
    assert len(set(ids)) == len(ids) == 300 + 19 + 2 + 1
    assert sorted(argument for _, argument in edges) == sorted(ids[:-1])
    assert all(ids.index(argument) < ids.index(taker) for taker, argument in edges)
    assert max(len(step.arguments) for step in steps) == 16


# Files that can't be read.


def test_files_that_cannot_be_read_stop_nothing(demo: Run, folder: Path, url: str) -> None:
    (folder / "bytes.py").write_bytes(b"spam = '\xff'\n")
    (folder / "gone.py").symlink_to(folder / "nowhere")
    (folder / "open.py").write_text("spam = (\n")
    result = demo(folder, "--url", url, "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (found["files"], found["top"][0], found["same"]) == (2, ["spam", 4], True)
    assert [Path(each["path"]).name for each in found["unread"]] == [
        "bytes.py",
        "gone.py",
        "open.py",
    ]


def test_files_that_cannot_be_read_are_shown_with_the_reason(demo: Run, folder: Path) -> None:
    path = folder / "gone[red].py"
    path.symlink_to(folder / "nowhere")
    result = demo(folder)
    assert f"not counted: '{path}': FileNotFoundError: No such file or directory" in result.stdout
    assert "files   2 counted, 1 could not be read" in result.stdout


def test_of_many_files_that_cannot_be_read_ten_are_shown() -> None:
    unread = tuple(Unread(f"{n}.py", "OSError: planted") for n in range(12))
    counted = Counted(Tally(Counter(), 0, unread), 0.0)
    shown = io.StringIO()
    Report("memory://", "demo", 1, 1, counted, counted, unread, 0).show(Console(file=shown))
    assert "not counted: '9.py': OSError: planted\nnot counted: 2 more\n" in shown.getvalue()


def test_a_device_is_not_read() -> None:
    (unread,) = wordcount.count("/dev/zero").unread
    assert unread == Unread("/dev/zero", "OSError: not a regular file")


# Without arguments.


def test_without_arguments_it_takes_the_standard_library_without_its_tests() -> None:
    found = standard_library()
    parts = {part for file in found.files for part in Path(file).parts}
    assert {"queue.py", "asyncio"} <= parts
    assert not {"site-packages", "dist-packages", "test"} & parts
    assert found.unread == []


def test_a_python_without_source_files_is_refused(
    demo: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path / "python311.zip"))
    result = demo()
    assert result.exit_code == 2
    assert "there are no Python files (*.py) in Python's standard library" in result.stderr
    assert standard_library().unread[0].reason == "FileNotFoundError: No such file or directory"


def test_a_terminal_has_a_bar() -> None:
    shown = io.StringIO()
    with progress(Console(file=shown, force_terminal=True)) as watch:
        watch("tasks started", 3, 7)
    assert "3/7" in shown.getvalue()
    assert "tasks started" in shown.getvalue()
