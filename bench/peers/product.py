#!/usr/bin/env python3
"""Dense products, attend beside PyTorch and any BLAS, in turns.

usage: product.py ATTEND [--library NAME=FILE:SYMBOL ...] [--torch] [--threads 2] [--rounds 5]
e.g.   --library openblas=/usr/lib/x86_64-linux-gnu/openblas-pthread/libopenblas.so.0:cblas_sgemm
       --library wheel=.../scipy.libs/libscipy_openblas-*.so:scipy_cblas_sgemm --library onednn=libdnnl.so.2:dnnl_sgemm

A symbol that begins with dnnl has oneDNN's arguments, any other CBLAS's with 32-bit integers. attend is measured with b
as it is and packed beforehand, where the shape allows. Ratios are the peer's time over attend's."""
import argparse
import ctypes
import os

ROWS = [(64, 2048, 512, 1, False), (64, 512, 512, 1, False), (2048, 64, 2048, 1, False), (128, 128, 64, 64, True),
        (512, 512, 512, 1, False), (1, 4096, 4096, 1, False)]


def library(spec, operands, shape):
    path, symbol = spec.rsplit(":", 1)
    sgemm = getattr(ctypes.CDLL(path), symbol)
    M, N, K, batch, transposed = shape
    f, p, i = ctypes.c_float, ctypes.c_void_p, ctypes.c_int
    if symbol.startswith("dnnl"):
        n, c = ctypes.c_int64, ctypes.c_char
        sgemm.argtypes = [c, c, n, n, n, f, p, n, p, n, f, p, n]
        head, b_row = (b"N", b"T" if transposed else b"N"), K if transposed else N
    else:
        sgemm.argtypes = [i, i, i, i, i, i, f, p, i, p, i, f, p, i]
        head, b_row = (101, 111, 112 if transposed else 111), K if transposed else N
    a, b, c = (x.ctypes.data for x in operands)
    calls = [head + (M, N, K, 1.0, a + 4 * M * K * j, K, b + 4 * K * N * j, b_row, 0.0, c + 4 * M * N * j, N)
             for j in range(batch)]

    def run():
        for call in calls:
            sgemm(*call)

    return run


def pytorch(operands, shape):
    import torch
    a, b, c = (torch.from_numpy(x) for x in operands)
    b = b.transpose(1, 2) if shape[-1] else b
    if shape[3] == 1:
        return lambda: torch.mm(a[0], b[0], out=c[0])
    return lambda: torch.bmm(a, b, out=c)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attend")
    parser.add_argument("--library", action="append", default=[], dest="libraries")
    parser.add_argument("--torch", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    a = parser.parse_args()
    for name in ("OMP", "OPENBLAS", "BLIS", "MKL"):
        os.environ[name + "_NUM_THREADS"] = str(a.threads)
    import numpy as np
    from turns import compare
    for shape in ROWS:
        M, N, K, batch, transposed = shape
        random = np.random.default_rng(0)
        operands = [random.random((batch, M, K), np.float32),
                    random.random((batch, N, K) if transposed else (batch, K, N), np.float32),
                    np.zeros((batch, M, N), np.float32)]
        peers = {spec.split("=", 1)[0]: library(spec.split("=", 1)[1], operands, shape) for spec in a.libraries}
        if a.torch:
            import torch
            torch.set_num_threads(a.threads)
            peers["pytorch"] = pytorch(operands, shape)
        arguments = ["product", "--shape", f"{M},{N},{K}" + (f",{batch}" if batch > 1 else "")]
        arguments += ["--transpose-b"] * transposed
        compare(a.attend, arguments, peers, rounds=a.rounds, threads=a.threads)
        if batch == 1:
            compare(a.attend, arguments + ["--packed"], peers, rounds=a.rounds, threads=a.threads)


if __name__ == "__main__":
    main()
