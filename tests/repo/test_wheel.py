"""The wheel holds what the repository has of its two packages, and nothing else."""

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
    assert held == {
        str(path.relative_to(folder.parent))
        for folder in (ROOT / "worq", ROOT / "model/worq_model")
        for path in committed()
        if path.is_relative_to(folder)
    }
