"""The fixtures of tests/python, for the command and library beside the package under test."""

import importlib.util
import os
import pathlib
import sys

PYTHON = pathlib.Path(__file__).resolve().parents[2] / "python"
if "ATTEND_PACKAGE" in os.environ:
    os.environ.setdefault("ATTEND", str(pathlib.Path(os.environ["ATTEND_PACKAGE"]).parent / "attend"))
os.environ["TOKENIZERS_PARALLELISM"] = "false"
sys.path.insert(0, str(PYTHON))
spec = importlib.util.spec_from_file_location("fixtures", PYTHON / "conftest.py")
fixtures = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fixtures)
attend, attend_library, command, load, write = (
    getattr(fixtures, name) for name in ("attend", "attend_library", "command", "load", "write"))
