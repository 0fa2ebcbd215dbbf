"""Writes programs that take every transition of the model, and every row: python scripts/vectors.py model/vectors"""

import sys
from pathlib import Path

from worq.testing.rows import histories
from worq_model import lines
from worq_model.catalogue import VECTORS
from worq_model.vectors import dumps, generate


def main(folder: str) -> None:
    for name, kept in VECTORS.items():
        text = dumps(kept.about, generate(kept.space))
        (Path(folder) / f"{name}.json").write_text(text, encoding="utf-8")
    (Path(folder) / "rows.jsonl").write_text(lines.dumps(histories()), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
