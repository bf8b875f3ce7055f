"""What a call from Python costs above the call in C: the same small attention through ctypes, cffi and the package.

    python bench/peers/binding.py BUILD        needs numpy and cffi; BUILD holds libattend.so and python/attend

ctypes and cffi get their structs filled from NumPy arrays each time, as a package would have to do. Both take the
layout from a description of their own; cffi's is made from the header with the C compiler's preprocessor."""

import ctypes
import pathlib
import re
import subprocess
import sys
import time

import cffi
import numpy as np

build = pathlib.Path(sys.argv[1]).resolve()
root = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(build / "python"))
import attend  # noqa: E402
from attend import _core  # noqa: E402

VIEWS_IN, VIEWS_OUT = 32, 16  # zeroed room for at least as many views as the structs hold
q = k = v = np.random.default_rng(0).normal(size=(1, 1, 1, 8)).astype(np.float32)
o = np.empty_like(q)
scratch = np.empty(1 << 24, np.uint8)


class View(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("dtype", ctypes.c_int), ("ndim", ctypes.c_int),
                ("dim", ctypes.c_int64 * 6), ("stride", ctypes.c_int64 * 6)]


class Span(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("bytes", ctypes.c_size_t)]


def with_ctypes():
    lib = ctypes.CDLL(str(build / "libattend.so"))
    span = Span((scratch.ctypes.data + 63) // 64 * 64, scratch.nbytes - 64)
    lib.att_attention_forward.argtypes = [ctypes.c_void_p] * 4 + [Span]

    def view(x):
        to = View(x.ctypes.data, 0, x.ndim)
        to.dim[: x.ndim] = x.shape
        to.stride[: x.ndim] = [s // x.itemsize for s in x.strides]
        return to

    def call():
        inputs, outputs = (View * VIEWS_IN)(), (View * VIEWS_OUT)()
        inputs[0], inputs[1], inputs[2], outputs[0] = view(q), view(k), view(v), view(o)
        assert lib.att_attention_forward(None, None, ctypes.byref(outputs), ctypes.byref(inputs), span) == 0

    return call


def with_cffi():
    header = subprocess.run(["cc", "-E", "-P", "-DATT_API=", f"-I{root}/include", "-include", "stdint.h",
                             str(root / "include/attend/attention.h")], capture_output=True, text=True, check=True)
    text = re.sub(r"__attribute__\s*\(\((.|\n)*?\)\)\)?", "", header.stdout)
    ffi = cffi.FFI()
    ffi.cdef(text[text.index("typedef enum att_status"):])
    lib = ffi.dlopen(str(build / "libattend.so"))
    span = ffi.new("att_span *", {"data": ffi.cast("void *", (scratch.ctypes.data + 63) // 64 * 64),
                                  "bytes": scratch.nbytes - 64})[0]

    def view(x):
        return {"data": ffi.from_buffer(x), "ndim": x.ndim, "dim": x.shape, "stride": [s // 4 for s in x.strides]}

    def call():
        inputs = ffi.new("att_attention_in *", {"q": view(q), "k": view(k), "v": view(v)})
        outputs = ffi.new("att_attention_out *", {"o": view(o)})
        assert lib.att_attention_forward(ffi.NULL, ffi.NULL, outputs, inputs, span) == 0

    return call


def extension():
    inputs, outputs = {"q": q, "k": k, "v": v}, {"o": o}
    return lambda: _core.attention_forward({}, inputs, outputs, None, 1, 0)


def whole():
    return lambda: attend.attention(q, v, k)


def microseconds(call, runs=7, calls=20000):
    best = np.inf
    for _ in range(runs):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        best = min(best, time.perf_counter() - start)
    return best / calls * 1e6


for name, make in (("ctypes", with_ctypes), ("cffi", with_cffi), ("extension", extension),
                   ("attend.attention", whole)):
    print(f"{name:18} {microseconds(make()):6.2f} us")
