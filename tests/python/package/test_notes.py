"""examples/notes.ipynb runs from top to bottom and still says what its kept outputs say."""

import base64
import os
import pathlib
import re

import attend
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
nbformat = pytest.importorskip("nbformat", reason="the notebook runs with tests/python/requirements.txt installed")
nbclient = pytest.importorskip("nbclient", reason="the notebook runs with tests/python/requirements.txt installed")


def printed(cell):
    return "".join(o.text for o in cell.get("outputs", []) if o.output_type == "stream" and o.name == "stdout")


def same(before, after):
    """Equal words, and numbers as equal as the last digits of float32 are on another machine."""
    number = r"-?\d+(?:\.\d*)?(?:e-?\d+)?"
    assert re.sub(number, "#", before) == re.sub(number, "#", after)
    np.testing.assert_allclose(*([float(x) for x in re.findall(number, text)] for text in (before, after)), rtol=1e-3,
                               atol=1e-3)


def pictures(cell):
    return [o["data"]["image/png"] for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]


def test_notebook_runs_and_agrees_with_its_outputs(monkeypatch):
    path = ROOT / "examples" / "notes.ipynb"
    kept = nbformat.read(path, as_version=4)
    fresh = nbformat.from_dict(kept)
    monkeypatch.setenv("PYTHONPATH", str(pathlib.Path(attend.__file__).resolve().parents[1]), prepend=os.pathsep)
    nbclient.NotebookClient(fresh, timeout=120, kernel_name="python3").execute()
    drawn = 0
    for before, after in zip(nbformat.read(path, as_version=4).cells, fresh.cells, strict=True):
        same(printed(before), printed(after))
        assert len(pictures(before)) == len(pictures(after))
        for picture in pictures(after):
            assert base64.b64decode(picture).startswith(b"\x89PNG")
            drawn += 1
    assert drawn >= 8 and path.stat().st_size < 300_000
