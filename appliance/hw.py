"""Where the data about hardware lives: modem profiles, tone plans and whatever else is `hw/`."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def hw_path(name: str = "") -> Path:
    """The file or folder `name` (such as "modems" or "tones.toml") of the hardware data.

    A checkout has `hw/` beside the package, an installed wheel carries it as `appliance/_hw`.
    Raises FileNotFoundError with a sentence for people when neither place has it, and ValueError
    for a name that leads out of the data.
    """
    for root in (_PACKAGE / "_hw", _PACKAGE.parent / "hw"):
        path = (root / name).resolve()
        if not path.is_relative_to(root.resolve()):
            raise ValueError(f"'{name}' leads out of the hardware data")
        if path.exists():
            return path
    raise FileNotFoundError(
        f"The hardware data '{name}' is missing. It belongs in {_PACKAGE / '_hw'} or, in a"
        f" checkout, in {_PACKAGE.parent / 'hw'}; install the package again."
    )
