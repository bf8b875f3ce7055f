"""run.py BUILD GROUP [ARGUMENT...]: the tests of GROUP against the peers they name, with pytest and the arguments.

The peers of requirements-GROUP.txt are installed on demand into BUILD/peers, one virtual environment for all groups and
of their own, so that nothing else depends on them. $ATTEND_PEERS, a Python that has them, is used instead when set. Exits
with 77, "skipped", only when pip reaches no index."""

import contextlib
import fcntl
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


@contextlib.contextmanager
def alone(folder: pathlib.Path):
    """Two groups that run at a time install one after the other."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def pip(python: pathlib.Path, *arguments: str) -> bool:
    command = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, check=False).returncode == 0


def peers(folder: pathlib.Path, group: str) -> pathlib.Path:
    """A Python that has the group's packages."""
    python, stamp = folder / "bin" / "python", folder / f"installed-{group}.txt"
    wanted = (HERE / f"requirements-{group}.txt").read_text()
    with alone(folder):
        if stamp.exists() and stamp.read_text() == wanted:
            return python
        print(f"installing into {folder}: {', '.join(wanted.split())}", flush=True)
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        if not pip(python, "install", "--requirement", str(HERE / f"requirements-{group}.txt")):
            if pip(python, "download", "--no-deps", "--no-cache-dir", "--dest", str(folder / "probe"), "iniconfig"):
                sys.exit(f"{group}: the packages cannot be installed")
            print(f"skipped: no package index can be reached, from which to install {', '.join(wanted.split())}")
            sys.exit(77)
        stamp.write_text(wanted)
    return python


def main(build: str, group: str, *arguments: str) -> int:
    own = os.environ.get("ATTEND_PEERS")
    python = pathlib.Path(own) if own else peers(pathlib.Path(build, "peers").resolve(), group)
    environment = os.environ | {"ATTEND_PACKAGE": str(pathlib.Path(build, "python").resolve()), "KERAS_BACKEND": "tensorflow",
                                "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "", "TF_ENABLE_ONEDNN_OPTS": "0"}
    command = [python, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", HERE / group, *arguments]
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
