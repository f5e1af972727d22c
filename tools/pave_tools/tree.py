"""Where the sources are: the repository this package is installed from in editable form."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
FIRMWARE_DIR = REPOSITORY / "firmware"
BOARDS_DIR = REPOSITORY / "hardware" / "boards"
