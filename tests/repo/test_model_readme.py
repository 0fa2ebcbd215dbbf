"""What the model's README shows, runs."""

import re
from pathlib import Path

README = Path(__file__).parents[2] / "model/README.md"


def test_the_example_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    exec(compile(example, README.name, "exec"), {})  # noqa: S102 - our own document
