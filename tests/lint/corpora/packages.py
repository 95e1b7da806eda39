"""The pinned packages: fetched with pip, unpacked into a cache folder, never installed and never run."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

PINNED: Final = (
    "timm==1.0.19",
    "torchvision==0.23.0",
    "transformers==4.56.2",
    "kornia==0.9.0",
    "pytorch-lightning==2.6.6",
    "torch-dct==0.1.6",
    "d2l==1.0.3",
)


def fetch(requirement: str, cache: Path) -> Path:
    """The folder that holds a wheel's files; downloaded once."""
    folder = cache / requirement.replace("==", "-")
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        options = ["--no-deps", "--only-binary", ":all:", "--quiet", "--dest", str(folder / "wheel")]
        subprocess.run([sys.executable, "-m", "pip", "download", *options, requirement], check=True)
        for wheel in (folder / "wheel").glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                members = [name for name in archive.namelist() if name.endswith(".py")]
                archive.extractall(folder / "files", members)
        (folder / "done").touch()
    return folder / "files"


def sources(folder: Path) -> list[Path]:
    """The Python files of a package, in order."""
    return sorted(folder.rglob("*.py"))
