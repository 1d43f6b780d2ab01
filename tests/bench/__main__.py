"""`./build.sh bench [NAME] [--json FILE]`: measure, print a table, write the numbers.

Each `bench_<name>.py` beside this file has `run() -> dict[str, float]`. Costs are CPU seconds and
ratios; they are printed with the machine they were measured on, since a number without its machine
says nothing.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
from pathlib import Path

# As the media process has it: more BLAS threads would only be measured spinning.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np


def machine() -> str:
    """The machine in one line."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith(("model name", "Model")):
            model = line.partition(":")[2].strip()
            break
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} x {model}, Linux {platform.release()}, {platform.machine()}, "
        f"Python {platform.python_version()}, numpy {np.__version__}, load {load:.1f}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="./build.sh bench")
    names = sorted(p.stem.removeprefix("bench_") for p in Path(__file__).parent.glob("bench_*.py"))
    parser.add_argument("name", nargs="?", choices=names)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(f"{time.strftime('%Y-%m-%d')}  {machine()}")
    numbers: dict[str, float] = {}
    for name in [options.name] if options.name else names:
        print(f"\n{name}", flush=True)
        found = importlib.import_module(f"tests.bench.bench_{name}").run()
        for key, value in found.items():
            print(f"  {key:<36} {value:>12.4g}", flush=True)
        numbers |= found
    if options.json is not None:
        options.json.write_text(json.dumps(numbers, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
