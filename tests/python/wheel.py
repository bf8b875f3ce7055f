"""wheel.py SOURCE BUILD: `pip install .` gives a package that works outside of the source tree, in a Python of its own.

The wheel's build folder stays in BUILD, so that a second run compiles only what changed. Exits with 77, "skipped", when
the packages that pip needs cannot be had."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

USE = """
import os, sys
import numpy as np
import attend
assert os.path.commonpath([attend.__file__, sys.prefix]) == os.path.realpath(sys.prefix), attend.__file__
files = os.listdir(os.path.dirname(attend.__file__))
assert "py.typed" in files and "libattend.so.0" in files, files
loaded = [line.split()[-1] for line in open("/proc/self/maps") if "libattend" in line]
assert all(os.path.dirname(path) == os.path.dirname(attend.__file__) for path in loaded) and loaded, loaded
x = np.random.default_rng(0).normal(size=(2, 5, 8)).astype(np.float32)
output, weights = attend.attention(x, x, causal=True, return_weights=True)
assert np.allclose(weights.sum(-1), 1) and np.allclose(output, weights @ x, atol=1e-6)
print("attend", attend.__version__)
"""


def reachable(python: pathlib.Path) -> bool:
    """Whether pip can have what the build and the package need."""
    done = subprocess.run([python, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", "download",
                           "scikit-build-core"], cwd=python.parent.parent, check=False)
    return done.returncode == 0


def main(source: str, build: str) -> int:
    environment = os.environ.copy()
    environment.pop("PYTHONPATH", None)
    if shutil.which("ccache"):
        environment.setdefault("CMAKE_C_COMPILER_LAUNCHER", "ccache")
    with tempfile.TemporaryDirectory() as folder:
        python = pathlib.Path(os.path.realpath(folder), "venv", "bin", "python")
        subprocess.run([sys.executable, "-m", "venv", python.parent.parent], check=True)
        if not reachable(python):
            print("skipped: pip cannot download scikit-build-core, with which `pip install .` builds")
            return 77
        subprocess.run([python, "-m", "pip", "install", "--quiet", f"--config-settings=build-dir={build}/wheel", source],
                       env=environment, check=True)
        subprocess.run([python, "-c", USE], cwd=folder, env=environment, check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
