"""attend similarity against NumPy."""

import numpy
import pytest

RNG = numpy.random.default_rng(3)


def distance(a, b):
    return 1 - (a * b).sum(-1) / numpy.linalg.norm(a, axis=-1) / numpy.linalg.norm(b, axis=-1)


def test_rows_of_two_files(attend, tmp_path):
    a, b = RNG.normal(size=(2, 30, 7))
    numpy.save(tmp_path / "a.npy", a)
    numpy.save(tmp_path / "b.npy", numpy.asfortranarray(b.astype("float32")))
    said = attend.json("similarity", "a.npy", "b.npy", "-o", "s.png")
    numpy.testing.assert_allclose(said["dot"], (a * b).sum(-1), rtol=1e-5, atol=1e-5)
    numpy.testing.assert_allclose(said["cosine_distance"], distance(a, b), atol=1e-6)
    assert said["correlation"] == pytest.approx(numpy.corrcoef(said["dot"], said["cosine_distance"])[0, 1])
    assert (tmp_path / "s.png").read_bytes()[:4] == b"\x89PNG"


def test_every_two_rows_of_one_file(attend, tmp_path):
    a = numpy.array([[1.0, 0], [0, 2], [-3, 0], [0, 0]])
    numpy.save(tmp_path / "a.npy", a)
    said = attend.json("similarity", "a.npy")
    assert said["dot"] == [0, -3, 0, 0, 0, 0]
    assert said["cosine_distance"] == [1, 2, None, 1, None, None]
    assert attend("similarity", "a.npy").splitlines()[2].split() == ["2", "2.000000", "-3.000000"]


def test_random_pairs(attend, tmp_path):
    args = ["similarity", "--random", 100, "--width", 128]
    said = attend.json(*args, "--seed", 5, "-o", "s.svg")
    assert said["pairs"] == 100 and said["width"] == 128
    assert said == attend.json(*args, "--seed", 5) and said != attend.json(*args, "--seed", 6)
    assert abs(numpy.mean(said["dot"])) < 4 and 8 < numpy.std(said["dot"]) < 15  # sqrt(128) = 11.3
    assert said["correlation"] < -0.97
    assert (tmp_path / "s.svg").read_text().count("<svg") == 1


def test_wrong_input(attend, tmp_path):
    numpy.save(tmp_path / "a.npy", RNG.normal(size=(4, 3)))
    numpy.save(tmp_path / "b.npy", RNG.normal(size=(4, 2)))
    numpy.save(tmp_path / "c.npy", numpy.arange(6))
    assert "b.npy: 4 vectors of 2, expected 4 of 3 as in a.npy" in attend.error("similarity", "a.npy", "b.npy")
    assert "c.npy: int64, expected float32 or float64" in attend.error("similarity", "c.npy")
    assert "--random beside 'a.npy'" in attend.error("similarity", "a.npy", "--random", 3)
    assert "expected one or two .npy files" in attend.error("similarity")
