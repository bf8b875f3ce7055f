"""Writes foreign.safetensors: what the Python package `safetensors` makes of these arrays."""
import pathlib

import numpy
from safetensors.numpy import save_file

save_file(
    {
        "f32": numpy.array([[0.5, -1.5, 2.25], [3.0, 1e-3, -7.0]], numpy.float32),
        "f64": numpy.array([1.0 / 3.0, -2.0], numpy.float64),
        "f16": numpy.array([1.5, -0.25, 65504.0], numpy.float16),
        "i8": numpy.array([[-128], [0], [127]], numpy.int8),
        "i32": numpy.array([-(2**31), 2**31 - 1], numpy.int32),
        "i64": numpy.array([-(2**63), 2**63 - 1], numpy.int64),
        "u8": numpy.array([0, 255, 7, 9, 1], numpy.uint8),
        "bool": numpy.array([True, False, True]),
        "u16": numpy.array([1, 2], numpy.uint16),
        "scalar": numpy.array(42.0, numpy.float32),
        "empty": numpy.zeros((0, 4), numpy.float32),
    },
    pathlib.Path(__file__).with_name("foreign.safetensors"),
    metadata={"format": "np", "größe": "„ja“\n"},
)
