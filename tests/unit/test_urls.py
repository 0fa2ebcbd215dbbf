"""URLs: which backend they mean, and what of them may be shown."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import worq
from worq import BackendUnavailable, TaskFailure
from worq.deferred import Home
from worq.masking import canonical, masked, without_password
from worq.queue.memory import TaskQueue
from worq.urls import is_process_local, open_queue, registered


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.spec("ENV-API-9")
@pytest.mark.parametrize(
    "url",
    [
        "",
        "memory",
        "memory:",
        "localhost:6379",
        "amqp://host",
        "REDIS://host",
        "redis:/host",
        "://x",
    ],
)
@pytest.mark.parametrize("get", [worq.get_broker, worq.get_queue])
def test_url_that_says_nothing_is_refused(url: str, get: Any) -> None:
    with pytest.raises(ValueError, match="memory://, redis://, rediss://, unix://") as caught:
        get(url)
    assert str(caught.value).startswith("url: ")
    assert repr(url) in str(caught.value)


@pytest.mark.spec("ENV-API-9", "ENV-BAD-5")
@pytest.mark.parametrize("url", [None, 5, b"memory://"])
def test_url_that_is_no_string_is_refused(url: Any) -> None:
    with pytest.raises(TypeError, match="url: a string is needed"):
        worq.get_broker(url)


@pytest.mark.spec("ENV-API-9")
def test_password_is_not_shown_in_an_error() -> None:
    with pytest.raises(ValueError, match="amqp") as caught:
        worq.get_broker("amqp://me:secret@host/0")
    assert "secret" not in str(caught.value)
    assert "'amqp://me:***@host/0'" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://:secret@host", "redis://:***@host"),
        ("redis://me:secret@host:1/0?x=y", "redis://me:***@host:1/0?x=y"),
        ("redis://me:sec/r:e@t?@host:1", "redis://me:***@host:1"),
        ("unix://me:secret@/run/redis.sock?db=0", "unix://me:***@/run/redis.sock?db=0"),
        ("redis://host?db=0&password=secret", "redis://host?db=0&password=***"),
        ("redis://[bad:secret@host", "redis://[bad:***@host"),
        ("memory://", "memory://"),
    ],
)
def test_password_is_masked(url: str, shown: str) -> None:
    assert masked(url) == shown


@pytest.mark.spec("ENV-API-6")
@pytest.mark.parametrize(
    ("url", "rest"),
    [
        ("redis://:secret@host", "redis://host"),
        ("redis://me:secret@host:1/0?x=y", "redis://me@host:1/0?x=y"),
        ("redis://me@host/0", "redis://me@host/0"),
        ("redis://host?db=0&password=secret", "redis://host?db=0"),
        (
            "redis://:secret@host?prefix=acme:&client_name=a+b%40",
            "redis://host?prefix=acme:&client_name=a+b%40",
        ),
        ("redis://host?%70assword=secret&prefix=a:", "redis://host?prefix=a:"),
        ("rediss://host?db=0&ssl_password=secret", "rediss://host?db=0"),
        ("unix://:secret@/run/redis.sock?db=0", "unix:///run/redis.sock?db=0"),
        ("redis://host:6379/0?client_name=a@b", "redis://host:6379/0?client_name=a@b"),
        (
            "redis+sentinel://me:secret@h,[::2]:1/s?sentinel_password=p",
            "redis+sentinel://me@h,[::2]:1/s",
        ),
        ("redis+cluster://:secret@[::1],[::2]", "redis+cluster://[::1],[::2]"),
        ("memory://", "memory://"),
    ],
)
def test_password_is_left_out(url: str, rest: str) -> None:
    assert without_password(url) == rest


@pytest.mark.spec("CALL-2")
def test_password_makes_no_other_queue() -> None:
    assert Home.of("redis://:secret@host", "q") == Home.of("redis://host", "q")
    assert Home.of("redis://host", "q") != Home.of("redis://host", "r")
    assert Home.of("redis://host/0", "q") != Home.of("redis://host/1", "q")


@pytest.mark.spec("CALL-2")
@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("redis://:secret@host?prefix=acme:", "redis://host?prefix=acme:"),
        ("redis://host?prefix=worq:", "redis://host"),
        ("redis://host?prefix=worq%3A&db=1", "redis://host?db=1"),
        ("redis://host?db=1&prefix=worq:", "redis://host?db=1"),
        ("redis+sentinel://me:secret@b:2,a,[::1]/jobs?db=1", "redis+sentinel://me@[::1],a,b:2/jobs?db=1"),
        ("rediss+cluster://b,a", "rediss+cluster://a,b"),
    ],
)  # fmt: skip
def test_other_words_make_no_other_queue(url: str, same: str) -> None:
    assert Home.of(url, "q") == Home.of(same, "q")
    assert canonical(url) == same


@pytest.mark.spec("CALL-2")
@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("redis://host?prefix=worq:2", "redis://host"),
        ("redis://host?client_name=prefix=worq:", "redis://host?client_name="),
        ("redis+sentinel://a,b/one", "redis+sentinel://a,b/two"),
        ("sqlite:///b,a", "sqlite:///a,b"),
        ("sqlite:///a?prefix=worq:", "sqlite:///a"),
    ],
)
def test_what_makes_another_queue_stays(url: str, other: str) -> None:
    assert canonical(url) == url
    assert Home.of(url, "q") != Home.of(other, "q")


def test_only_memory_lives_in_one_process() -> None:
    assert is_process_local("memory://x")
    assert not is_process_local("redis://x")


@pytest.mark.spec("ENV-BAD-1")
@pytest.mark.parametrize(("name", "error"), [("", ValueError), (5, TypeError), (None, TypeError)])
def test_name_that_is_none_is_refused(name: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="name"):
        worq.get_broker("memory://unit", name)


def test_keywords_go_to_the_queue_and_serializer_to_the_broker() -> None:
    queue = open_queue("memory://unit", "q", message_bytes_max=10)
    assert isinstance(queue, TaskQueue)
    assert queue.message_bytes_max == 10
    queue.close()
    with (
        worq.get_broker("memory://unit", message_bytes_max=10) as broker,
        pytest.raises(ValueError, match="message"),
    ):
        broker.queue().f("x" * 100)
    with pytest.raises(TypeError, match="colour"):
        worq.get_broker("memory://unit", colour="red")


def test_options_of_a_queue_go_to_its_tasks() -> None:
    q = worq.get_queue("memory://unit", "q", "foo", ignore_result=True)
    assert repr(q) == "<Queue foo [q]>"
    assert q.bar() is None
    del q[:]


@pytest.mark.spec("ENV-API-9")
def test_two_brokers_of_one_url_and_name_reach_one_queue() -> None:
    with (
        worq.get_broker("memory://unit", "q") as one,
        worq.get_broker("memory://unit", "q") as two,
        worq.get_broker("memory://unit", "r") as other_name,
        worq.get_broker("memory://other", "q") as other_url,
    ):
        one.queue().f()
        assert [len(broker) for broker in (two, other_name, other_url)] == [1, 0, 0]
        two.discard_pending_tasks()


@pytest.mark.spec("ENV-API-9")
def test_brokers_that_are_made_at_the_same_time_reach_one_queue() -> None:
    count = 16
    together = threading.Barrier(count)
    brokers: list[worq.Broker] = []

    def make() -> None:
        together.wait()
        broker = worq.get_broker("memory://unit", "together")
        brokers.append(broker)
        broker.queue().f()

    threads = [threading.Thread(target=make) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(broker) for broker in brokers] == [count] * count
    brokers[0].discard_pending_tasks()
    for broker in brokers:
        broker.close()


def test_importing_worq_imports_no_backend_and_no_other_package() -> None:
    loaded = run_python(
        "import sys; import worq\n"
        "print([m for m in ('redis', 'rich', 'click', 'hypothesis', 'worq.queue') if m in sys.modules])"
    )
    assert loaded == "[]"


@pytest.mark.parametrize("missing", ["redis", "hiredis"])
def test_missing_package_says_what_to_install(missing: str) -> None:
    shown = run_python(
        "import sys, worq\n"
        "class Missing:\n"
        "    def find_spec(name, path, target=None):\n"
        f"        if name == {missing!r}: raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Missing)\n"
        "try:\n    worq.get_broker('redis://localhost')\n"
        "except ImportError as error:\n    print(error if error.__suppress_context__ else 'two')"
    )
    assert shown == (
        f"url: redis:// needs the package {missing}, which the extra worq-spec[redis] brings"
    )


def test_another_import_error_of_a_backend_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "worq.queue.memory", None)
    with pytest.raises(ModuleNotFoundError, match=r"worq\.queue\.memory"):
        worq.get_broker("memory://")


def test_public_names_are_there() -> None:
    for name in worq.__all__:
        found = getattr(worq, name)
        assert found == name if name.isupper() else found.__module__.startswith("worq")
    assert issubclass(BackendUnavailable, ConnectionError)
    assert issubclass(TaskFailure, worq.WorqError)


class OfAnother(TaskQueue):
    """A backend that another distribution brings."""

    process_local = False

    def __init__(self, url: str, name: str = "default", **options: Any) -> None:
        super().__init__("memory://another", name, **options)
        self.url = url


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Installs distributions that register these entry points: scheme → what it names."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "other_backend", ModuleType("other_backend"))
    monkeypatch.setattr("other_backend.TaskQueue", OfAnother, raising=False)
    monkeypatch.setattr("other_backend.nothing", 7, raising=False)

    def install(distribution: str = "other", **entries: str) -> None:
        info = tmp_path / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        lines = [f"{scheme} = {value}" for scheme, value in entries.items()]
        (info / "entry_points.txt").write_text("\n".join(["[worq.backends]", *lines, ""]))
        registered.cache_clear()

    yield install
    registered.cache_clear()


Install = Callable[..., None]


@pytest.mark.spec("ENV-API-10")
def test_a_scheme_of_another_distribution_is_opened_by_what_it_names(register: Install) -> None:
    register(other="other_backend:TaskQueue")
    with worq.get_broker("other://place", "q") as broker:
        assert broker.url == "other://place"
        assert broker.queue().f(1).status == "enqueued"
        assert broker.discard_pending_tasks() == 1
    assert not is_process_local("other://place")
    with pytest.raises(TypeError, match="colour: there is no such option: 'red'; there are "):
        worq.get_broker("other://place", colour="red")
    with pytest.raises(ValueError, match=r"memory://, .*sqlite://, other:// is needed"):
        worq.get_broker("others://place")


@pytest.mark.spec("ENV-API-10")
def test_a_backend_may_say_that_it_is_of_one_process(
    register: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(other="other_backend:TaskQueue")
    monkeypatch.setattr(OfAnother, "process_local", True)
    assert is_process_local("other://place")
    assert not is_process_local("unknown://place")


@pytest.mark.spec("ENV-API-10")
def test_the_schemes_of_worq_cannot_be_replaced(register: Install) -> None:
    register(memory="other_backend:TaskQueue")
    with worq.get_broker("memory://") as broker:
        assert broker.url == "memory://"


@pytest.mark.spec("ENV-API-10")
def test_an_entry_point_that_names_no_backend_is_refused(register: Install) -> None:
    register(other="other_backend:nothing")
    with pytest.raises(TypeError, match="other:// is registered as other_backend:nothing, no Abs"):
        worq.get_broker("other://place")


@pytest.mark.spec("ENV-API-10")
def test_a_scheme_that_two_distributions_register_is_refused(register: Install) -> None:
    register(other="other_backend:TaskQueue")
    register("another", other="other_backend:nothing")
    with pytest.raises(ValueError, match="other:// is registered more than once: other_backend:"):
        worq.get_broker("other://place")
