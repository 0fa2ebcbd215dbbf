"""A process that tries mutants, each in a fork of its own: `python -m tests.mutants.host`.

It has imported all that is slow to import, but nothing of worq. A trial comes as a line of JSON, and a
verdict goes back as one. In the fork a copy of the package `worq` is made, the mutant planted in it, and
the copy imported: the checkout is never touched.
"""

import compileall
import json
import os
import pkgutil
import select
import shutil
import signal
import sys
import tempfile
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from tests.mutants.engines import ENGINES
from tests.mutants.mutant import Planted

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.mutants.hunts import Found

SLOW_TO_IMPORT = (
    "hypothesis.stateful", "pytest", "_pytest.assertion.rewrite", "redis", "hiredis", "logging.config",
    "multiprocessing.pool", "concurrent.futures.thread", "asyncio", "unittest.mock", "secrets", "hmac",
)  # fmt: skip
PACKAGES = ("worq", "worq_model")
WHAT_CHARS_MAX = 4_000
LANE = "lane"  # how the names begin of those parts of scripts that have lanes


def package(name: str = "worq") -> Path:
    """The folder of a package, which is not imported by this."""
    spec = find_spec(name)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def serve(requests: TextIO, answers: TextIO) -> None:
    """Try what is asked for, until there are no more lines."""
    prepare()
    with tempfile.TemporaryDirectory(prefix="worq-mutants-") as folder:
        compiled = Path(folder) / "compiled"
        compile_all(compiled)
        for number, line in enumerate(requests):
            answer = attempt(json.loads(line), compiled, Path(folder) / str(number))
            print(json.dumps(answer), file=answers, flush=True)


def prepare() -> None:
    """Import what is not the mutant's."""
    for name in SLOW_TO_IMPORT:
        import_module(name)
    model = import_module("worq_model")
    for module in pkgutil.iter_modules(model.__path__):
        import_module(f"worq_model.{module.name}")


def compile_all(folder: Path) -> None:
    """Copy the packages into this folder, and compile them, since every trial imports them anew."""
    for name in PACKAGES:
        copy = folder / name
        shutil.copytree(package(name), copy, ignore=shutil.ignore_patterns("__pycache__"))
        assert compileall.compile_dir(copy, quiet=1)


def attempt(trial: dict[str, Any], compiled: Path, folder: Path) -> dict[str, Any]:
    """The verdict of one trial."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(readable)
        _be_the_child(trial, compiled, folder, writable)
    os.close(writable)
    try:
        verdict = _read(readable, trial["seconds_max"], gives_up=trial["gives_up"])
    finally:
        os.close(readable)
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        shutil.rmtree(folder, ignore_errors=True)
    return verdict


def _read(pipe: int, seconds_max: float, *, gives_up: bool) -> dict[str, Any]:
    """The child's verdict. If it has none by then it hangs, which is found too, unless we give up."""
    until = time.monotonic() + seconds_max
    text = b""
    while (left := until - time.monotonic()) > 0 and select.select([pipe], [], [], left)[0]:
        part = os.read(pipe, 65_536)
        if not part:
            break
        text += part
    if text:
        verdict: dict[str, Any] = json.loads(text)
        return verdict
    is_late = time.monotonic() >= until
    what = None if is_late and gives_up else "hangs" if is_late else "the process died"
    return {"what": what, "clauses": [], "steps": 0, "seconds": seconds_max}


def _be_the_child(trial: dict[str, Any], compiled: Path, folder: Path, pipe: int) -> None:
    began = time.monotonic()
    told: Callable[..., None]
    try:
        os.setpgid(0, 0)
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(silence, stream)
        planted = None if trial["planted"] is None else Planted(*trial["planted"])
        plant(planted, compiled, folder)
        hunts = import_module("tests.mutants.hunts")
        began = time.monotonic()

        def told(found: "Found | None") -> None:
            _tell(pipe, found, hunts.Steps.done, time.monotonic() - began)

        hunts.hunt(
            ENGINES[trial["engine"]],
            trial["backend"],
            trial["seed"],
            trial["only"],
            told,
            is_control=planted is None,
            is_patient=trial["is_patient"],
        )
        told(None)
    except BaseException as error:  # noqa: BLE001 - the parent must hear of it
        text = json.dumps({"error": f"{type(error).__name__}: {error}"})
        os.write(pipe, text.encode())
    finally:
        os._exit(0)


def _tell(pipe: int, found: "Found | None", steps: int, seconds: float) -> None:
    """Send the verdict, and end this process at once, whatever it is in."""
    what = None if found is None else found.what[:WHAT_CHARS_MAX]
    clauses = [] if found is None else found.clauses
    verdict = {"what": what, "clauses": clauses, "steps": steps, "seconds": seconds}
    os.write(pipe, json.dumps(verdict).encode())
    os._exit(0)


def plant(planted: Planted | None, compiled: Path, folder: Path) -> None:
    """Have `worq` be a copy in that folder, with the mutant in it; and the model, if it is planted there."""
    name = "worq" if planted is None else planted.package
    for each in {"worq", name}:
        shutil.copytree(compiled / each, folder / each, copy_function=os.link)
    if planted is not None:
        path = folder / name / planted.file
        for stale in (path, *path.parent.glob(f"__pycache__/{path.stem}.*")):
            stale.unlink()  # a link, which others share
        path.write_text(planted.text, encoding="utf-8")
        if path.suffix == ".lua" and not path.stem.startswith(LANE):
            _leave_out_lanes(folder / name)
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]  # the model is there already
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(folder))
    # For the programs that tests start.
    os.environ["PYTHONPATH"] = os.pathsep.join((str(folder), os.environ["PYTHONPATH"]))


def _leave_out_lanes(worq: Path) -> None:
    """Or they would do most of what a mutant of the general text does wrong. test_redis_lanes.py compares the two."""
    path = worq / "queue/redis/scripts.py"
    text = path.read_text(encoding="utf-8")
    assert text.count("lanes: bool = True") == 1
    for stale in (path, *path.parent.glob(f"__pycache__/{path.stem}.*")):
        stale.unlink()  # a link, which others share
    path.write_text(text.replace("lanes: bool = True", "lanes: bool = False"), encoding="utf-8")


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
