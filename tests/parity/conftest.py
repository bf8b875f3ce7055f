"""Where the package comes from, and how close "the same numbers" are."""

import os
import pathlib
import sys

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, os.environ.get("ATTEND_PACKAGE", str(ROOT / "build" / "python")))

LIMITS = {"float32": 2e-5, "float64": 1e-12}


def close(found, wanted, dtype="float32", what=""):
    """The largest error is at most the limit of the type times the largest number there is. NaN is not close."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape, (what, found.shape, wanted.shape)
    assert str(found.dtype) == dtype, (what, found.dtype)
    if wanted.size:
        error = np.abs(found.astype(np.float64) - wanted).max()
        assert error <= LIMITS[dtype] * max(1.0, np.abs(wanted).max()), (what, error)


@pytest.fixture(name="close")
def close_fixture():
    return close


@pytest.fixture
def rng():
    return np.random.default_rng(20170612)
