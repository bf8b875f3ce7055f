"""attend inspect: model files, also of other programs, attention files, and what is neither."""

import json
import struct

import numpy
import pytest

TYPES = {"F32": "<f4", "F64": "<f8", "F16": "<f2", "I8": "i1", "I32": "<i4", "I64": "<i8", "U8": "u1", "BOOL": "?"}


def safetensors(tensors, metadata=None):
    """The format's bytes of {name: (dtype, shape, data)}."""
    header, body = {"__metadata__": metadata} if metadata else {}, b""
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


@pytest.fixture
def arrays():
    random = numpy.random.default_rng(5)
    made = {name: (10 * random.standard_normal((3, 5))).astype(kind) for name, kind in TYPES.items()}
    made["F32"][1, 2] = numpy.nan
    made["F16"][0, 0] = -numpy.inf
    made["F16"].reshape(-1)[1:5] = [6e-8, 65504, 1e-4, -0.0]
    return made


def test_statistics_are_numpys(attend, write, arrays):
    path = write("m", safetensors({n: (n, a.shape, a.tobytes()) for n, a in arrays.items()}))
    result = attend.json("inspect", path)
    assert result["kind"] == "model" and result["checksums"] is False
    assert result["parameters"] == 15 * len(arrays)
    assert result["bytes"] == sum(a.nbytes for a in arrays.values())
    assert [t["name"] for t in result["tensors"]] == list(arrays)
    for tensor in result["tensors"]:
        values = arrays[tensor["name"]].astype(numpy.float64)
        finite = values[numpy.isfinite(values)]
        assert tensor["dtype"] == tensor["name"] and tensor["shape"] == [3, 5]
        assert tensor["not_finite"] == values.size - finite.size
        assert tensor["min"] == finite.min() and tensor["max"] == finite.max()
        assert tensor["mean"] == pytest.approx(finite.mean(), rel=1e-12)
        assert tensor["norm"] == pytest.approx(numpy.linalg.norm(finite), rel=1e-12)


def test_bfloat16(attend, write):
    values = numpy.array([1.5, -3.0, 1e30], numpy.float32)
    data = (values.view(numpy.uint32) >> 16).astype(numpy.uint16).tobytes()
    (tensor,) = attend.json("inspect", write("m", safetensors({"b": ("BF16", [3], data)})))["tensors"]
    assert tensor["min"] == -3.0 and tensor["max"] == pytest.approx(1e30, rel=0.01)


def test_types_without_numbers_are_listed(attend, write):
    path = write("m", safetensors({"h": ("U16", [2], b"abcd"), "e": ("F32", [0], b"")}))
    for tensor in attend.json("inspect", path)["tensors"]:
        assert tensor["min"] is None and tensor["norm"] is None
    assert "U16    (2,)" in attend("inspect", path)


def test_metadata(attend, write):
    metadata = {
        "attend.recipe": json.dumps({"model": {"hidden": 256, "cell": "gru"}, "train": {"rate": 1e-3}}),
        "tokeniser": json.dumps({"pieces": [f"p{i}" for i in range(8000)]}),
        "note": "plain \x1b[31m text",
    }
    path = write("m", safetensors({"w": ("U8", [1], b"a"), "optimiser.m": ("U8", [9], bytes(9))}, metadata))
    text = attend("inspect", path)
    assert "  attend.recipe:\n    model:\n      hidden: 256\n      cell: gru\n    train:\n      rate: 0.001\n" in text
    assert "pieces: 8000 items: [p0, p1, p2, p3, ...]" in text
    assert "note: plain \\x1b[31m text\n" in text
    assert "total: 2 tensors, 1 parameters, 10 bytes of data\n" in text
    result = attend.json("inspect", path)
    assert result["metadata"]["attend.recipe"]["model"]["hidden"] == 256
    assert result["metadata"]["note"] == metadata["note"]


def record(kind, source, target, rows, columns, layers=1, heads=2):
    weights = numpy.full((layers, heads, rows, columns), 1 / columns).tolist()
    return json.dumps({"kind": kind, "source": source, "target": target, "weights": weights})


def test_attention_file(attend, write):
    lines = [record("cross", ["la", "casa", "."], ["the", "house"], 2, 3), record("encoder", ["la"], [], 1, 1, 3),
             record("cross", ["a"], ["b", "c", "d"], 3, 1)]
    path = write("a.jsonl", lines)
    result = attend.json("inspect", path)
    assert result["kind"] == "attention" and result["sentences"] == 2
    assert result["kinds"]["cross"] == {"records": 2, "layers": 1, "heads": 2, "rows": 3, "columns": 3}
    assert result["kinds"]["encoder"] == {"records": 1, "layers": 3, "heads": 2, "rows": 1, "columns": 1}
    assert "attention of 2 sentences" in attend("inspect", path)
    assert "a.jsonl:4: " in attend.error("inspect", write("a.jsonl", lines + ['{"kind": 1}']))


def test_other_files_are_refused(attend, write):
    good = safetensors({"w": ("F32", [2], bytes(8))})
    assert "m: " in attend.error("inspect", write("m", b""))
    assert "not a safetensors file" in attend.error("inspect", write("m", b"Just some text, long enough.\n"))
    assert "cut short" in attend.error("inspect", write("m", good[:-1]))
    assert "1 bytes after the last tensor" in attend.error("inspect", write("m", good + b"x"))
    assert "directory" in attend.error("inspect", "/tmp")
    assert "No such file" in attend.error("inspect", "missing")
    attend.error("inspect")
    attend.error("inspect", "a", "b")
