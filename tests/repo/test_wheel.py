"""The wheel holds what the repository has of its two packages and what the kit reads, and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path

from tests.repo.clauses import ROOT, committed


def test_the_wheel_holds_both_packages_whole(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
    subprocess.run([*command, "--directory", tmp_path], cwd=ROOT, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    folders = {
        ROOT / "worq": "worq",
        ROOT / "model/worq_model": "worq_model",
        ROOT / "model/vectors": "worq_model/vectors",
    }
    there = {
        f"{place}/{path.relative_to(folder)}"
        for folder, place in folders.items()
        for path in committed()
        if path.is_relative_to(folder)
    }
    assert held == there | {"worq_model/SPEC.md"}
