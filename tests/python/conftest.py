"""What the tests share: the command under test, from $ATTEND or build/attend, and the Python package, from
$ATTEND_PACKAGE or build/python."""

import json
import os
import pathlib
import subprocess
import sys

import library
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

if os.access("/dev/shm", os.W_OK):  # every save syncs: memory is many times faster than a disk
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", "/dev/shm")

PACKAGE = pathlib.Path(os.environ.get("ATTEND_PACKAGE", ROOT / "build" / "python")).resolve()
if (PACKAGE / "attend").is_dir():
    sys.path.insert(0, str(PACKAGE))
else:  # a build without the package: under a sanitizer, or without Python's headers
    collect_ignore = ["package"]

SANITIZED = "asan" in os.environ.get("LD_PRELOAD", "")  # by AddressSanitizer, as ./dev sanitize does


class Attend:
    """Runs the command in a folder of the test's own."""

    def __init__(self, command, folder):
        self.command, self.folder = command, folder

    def __call__(self, *arguments, stdin=None, status=0):
        """Standard output; fails the test when the exit status is another."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == status, done.stderr.decode()
        return done.stdout.decode()

    def run(self, *arguments, stdin=None):
        # Tests share their machine; leaks count here, though not in a Python that AddressSanitizer watches.
        patient = os.environ | {"OMP_WAIT_POLICY": "passive", "ASAN_OPTIONS": ""}
        return subprocess.run([self.command, *map(str, arguments)], cwd=self.folder, input=stdin,
                              timeout=1200 if SANITIZED else 120,
                              env=patient, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)

    def json(self, *arguments, **options):
        return json.loads(self(*arguments, "--json", **options))

    def error(self, *arguments, stdin=None, status=2):
        """Standard error of a call that must fail with nothing on standard output."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == status, (done.returncode, done.stderr.decode())
        assert done.stdout == b""
        return done.stderr.decode()


@pytest.fixture(scope="session")
def command():
    path = pathlib.Path(os.environ.get("ATTEND", ROOT / "build" / "attend")).resolve()
    if not path.is_file():
        pytest.fail(f"{path} does not exist; build it or set ATTEND")
    return str(path)


@pytest.fixture
def attend(command, tmp_path):
    return Attend(command, tmp_path)


@pytest.fixture
def write(tmp_path):
    """write("name", ["line", ...]) or write("name", bytes)"""

    def write_file(name, content):
        if not isinstance(content, bytes):
            content = "".join(line + "\n" for line in content).encode()
        (tmp_path / name).write_bytes(content)
        return name

    return write_file


@pytest.fixture(scope="session")
def attend_library(command):
    return library.load(command)


@pytest.fixture
def load(attend_library):
    """load(path): the model in a file, for its logits."""
    return lambda path: library.Model(attend_library.call, path)
