"""docs/security.md: its examples run, and each attack has the test that it names."""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
ATTACKS = [
    line.strip("|").split("|")
    for line in TEXT.split("## Attacks")[1].split("\n## ")[0].splitlines()
    if line.startswith("|")
][2:]


def test_the_examples_run() -> None:
    names: dict[str, Any] = {}
    for block in BLOCKS:
        exec(compile(block, "security.md", "exec"), names)  # noqa: S102 - to run it is the test
    brokers = [names[name] for name in ("by_name", "by_url", "with_keys")]
    for broker in brokers:
        broker.close()
    assert [broker.serializer_name for broker in brokers] == ["json", "json", "signed+json"]


def test_each_attack_names_tests_that_there_are() -> None:
    assert len(ATTACKS) >= 12
    path = ""
    for *_, tests in [["", TEXT], *ATTACKS]:
        cited = re.findall(r"`((?:tests/[\w/]+\.py)?)::(\w+)`", tests)
        assert cited
        for file, name in cited:
            path = file or path
            assert f"\ndef {name}(" in (ROOT / path).read_text(encoding="utf-8"), (path, name)
