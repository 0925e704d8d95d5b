"""What is special about Colab: packages that are loaded before a notebook installs others, and the drive.

It imports nothing that pip may have replaced.
"""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from synthetic_instruction_tuner.errors import UserError

DRIVE = "/content/drive"
LOADED_EARLY = {  # by module, the name of its distribution
    "numpy": "numpy",
    "pandas": "pandas",
    "PIL": "pillow",
    "matplotlib": "matplotlib",
    "scipy": "scipy",
    "pyarrow": "pyarrow",
    "pydantic": "pydantic",
    "torch": "torch",
    "transformers": "transformers",
}


def check_loaded_versions() -> None:
    """Stops where pip has replaced a package that this kernel has loaded: the two versions would mix.

    Raises:
        UserError: the kernel has to be restarted.
    """
    for module, distribution in LOADED_EARLY.items():
        loaded = getattr(sys.modules.get(module), "__version__", None)
        try:
            installed = version(distribution)
        except PackageNotFoundError:
            continue
        if loaded is not None and loaded.partition("+")[0] != installed.partition("+")[0]:
            raise UserError(
                f"{distribution} {loaded} is loaded, and {installed} is installed.",
                "The installation has replaced it while this session was running.",
                "Restart the session (Runtime > Restart session, or Kernel > Restart), then run all cells again.",
            )


def drive_folder() -> Path:
    """Mounts the user's Google Drive, after asking, and returns the folder for runs there.

    Raises:
        UserError: this is not Colab.
    """
    try:
        from google.colab import drive
    except ImportError:
        raise UserError(
            "There is no Google Drive here.",
            "This is not Colab.",
            "Set DRIVE = False: the run's folder is then beside the notebook, and stays there.",
        ) from None
    drive.mount(DRIVE)
    return Path(DRIVE) / "MyDrive" / "sit"
