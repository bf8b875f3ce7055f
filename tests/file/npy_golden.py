"""Writes npy_golden.json: files as NumPy saves them, in hexadecimal, with what is in them.

    python npy_golden.py > npy_golden.json
"""

import io
import json

import numpy as np
from numpy.lib import format as npy

ARRAYS = {
    "float32": np.arange(12, dtype="<f4").reshape(3, 4) / 8 - 0.5,
    "float64": np.array([[[0.1, -2.5e300, 5e-324]]], dtype="<f8"),
    "float16": np.array([1.5, -0.25, 65504, 6e-8], dtype="<f2"),
    "int8": np.array([-128, 127, 0], dtype="i1"),
    "int32": np.array([[-(2**31)], [2**31 - 1]], dtype="<i4"),
    "int64": np.array([-(2**63), 2**63 - 1], dtype="<i8"),
    "uint8": np.arange(250, 256, dtype="u1").reshape(2, 3),
    "bool": np.array([True, False, True]),
    "fortran": np.asfortranarray(np.arange(24, dtype="<f4").reshape(2, 3, 4)),
    "fortran_row": np.asfortranarray(np.arange(6, dtype="<i4").reshape(3, 2)),
    "scalar": np.array(3.25, dtype="<f8"),
    "empty": np.zeros((0,), dtype="<f4"),
    "empty_middle": np.zeros((3, 0, 5), dtype="<f8"),
    "six": np.arange(16, dtype="<i4").reshape(2, 1, 2, 1, 4, 1),
    "long": np.arange(100, dtype="u1") % 7,
}


def main():
    rows = []
    for name, array in ARRAYS.items():
        for version in [(1, 0), (2, 0), (3, 0)] if name in ("float32", "fortran") else [(1, 0)]:
            file = io.BytesIO()
            npy.write_array(file, array, version=version)
            rows.append(json.dumps({"name": f"{name} {version[0]}", "dtype": str(array.dtype), "version": version[0],
                                    "fortran": bool(array.flags.f_contiguous and not array.flags.c_contiguous),
                                    "shape": array.shape, "c_order": array.tobytes("C").hex(),
                                    "file": file.getvalue().hex()}))
    print('{"numpy": "%s", "files": [\n%s\n]}' % (np.__version__, ",\n".join(rows)))


main()
