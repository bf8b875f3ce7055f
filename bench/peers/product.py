#!/usr/bin/env python3
"""Dense products, attend beside BLAS libraries and PyTorch, in turns.

usage: product.py ATTEND [--library NAME=FILE:SYMBOL ...] [--torch] [--threads 2] [--rounds 5] [--only TEXT]
e.g.   --library openblas=/usr/lib/x86_64-linux-gnu/openblas-pthread/libopenblas.so.0:cblas_sgemm
       --library wheel=.../scipy.libs/libscipy_openblas-*.so:scipy_cblas_sgemm --library onednn=libdnnl.so.2:dnnl_sgemm

Needs numpy, and torch for --torch. A symbol that begins with dnnl has oneDNN's arguments, any other CBLAS's with 32-bit
integers. Every library runs in a process of its own: their pools of threads disturb each other. attend is measured with
b as it is and packed beforehand, where the shape allows. Ratios are the peer's time over attend's."""
import argparse
import ctypes
import json
import os
import subprocess
import sys

from turns import compare, median_ms

ROWS = [  # M, N, K, batch, flags
    (64, 2048, 512, 1, ""), (64, 512, 512, 1, ""), (2048, 64, 2048, 1, ""), (128, 128, 64, 64, "transpose-b"),
    (256, 768, 1024, 1, "transpose-a"), (512, 512, 512, 1, ""), (1, 4096, 4096, 1, "")]


# ---- a peer's process: a shape and a number of runs on each line of its input, milliseconds on each of its output ----

def operands(shape):
    import numpy as np
    M, N, K, batch, flags = shape
    random = np.random.default_rng(0)
    sizes = (K, M) if "transpose-a" in flags else (M, K), (N, K) if "transpose-b" in flags else (K, N), (M, N)
    return [random.random((batch, *size), np.float32) for size in sizes]


def library(spec, arrays, shape):
    path, symbol = spec.rsplit(":", 1)
    sgemm = getattr(ctypes.CDLL(path), symbol)
    M, N, K, batch, flags = shape
    turned = "transpose-a" in flags, "transpose-b" in flags
    f, p, i = ctypes.c_float, ctypes.c_void_p, ctypes.c_int
    if symbol.startswith("dnnl"):
        n, c = ctypes.c_int64, ctypes.c_char
        sgemm.argtypes = [c, c, n, n, n, f, p, n, p, n, f, p, n]
        head = tuple(b"T" if t else b"N" for t in turned)
    else:
        sgemm.argtypes = [i, i, i, i, i, i, f, p, i, p, i, f, p, i]
        head = (101, *(112 if t else 111 for t in turned))
    a_row, b_row = M if turned[0] else K, K if turned[1] else N
    a, b, c = (x.ctypes.data for x in arrays)
    calls = [(*head, M, N, K, 1.0, a + 4 * M * K * j, a_row, b + 4 * K * N * j, b_row, 0.0, c + 4 * M * N * j, N)
             for j in range(batch)]

    def run():
        for call in calls:
            sgemm(*call)

    return run


def pytorch(arrays, shape, threads):
    import torch
    torch.set_num_threads(threads)
    a, b, c = (torch.from_numpy(x) for x in arrays)
    a = a.transpose(1, 2) if "transpose-a" in shape[-1] else a
    b = b.transpose(1, 2) if "transpose-b" in shape[-1] else b
    if shape[3] == 1:
        return lambda: torch.mm(a[0], b[0], out=c[0])
    return lambda: torch.bmm(a, b, out=c)


def serve(spec, threads):
    call, shape, arrays = None, None, None
    for text in sys.stdin:
        wanted, runs = json.loads(text)
        if wanted != shape:
            shape, arrays = wanted, operands(wanted)
            call = pytorch(arrays, shape, threads) if spec == "torch" else library(spec, arrays, shape)
        print(median_ms(call, runs), flush=True)


# ---- this process ----

class Peer:
    def __init__(self, spec, threads):
        names = ("OMP", "OPENBLAS", "BLIS", "MKL")
        environment = dict(os.environ, **{name + "_NUM_THREADS": str(threads) for name in names})
        command = [sys.executable, __file__, "", "--threads", str(threads), "--serve", spec]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=environment)

    def ms(self, shape, runs):
        self.process.stdin.write(json.dumps([shape, runs]) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        return float(line) if line else sys.exit(f"{self.process.args[-1]}: see above")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attend")
    parser.add_argument("--library", action="append", default=[], dest="libraries")
    parser.add_argument("--torch", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="shapes that contain this, such as 64,2048,512")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.serve:
        return serve(a.serve, a.threads)
    peers = {name: Peer(spec, a.threads) for name, spec in (text.split("=", 1) for text in a.libraries)}
    if a.torch:
        peers["pytorch"] = Peer("torch", a.threads)
    for shape in ROWS:
        sizes = ",".join(str(n) for n in shape[:4 if shape[3] > 1 else 3])
        arguments = ["product", "--shape", sizes] + ["--" + flag for flag in shape[-1].split()]
        calls = {name: lambda runs, peer=peer: peer.ms(shape, runs) for name, peer in peers.items()}
        for packed in ([], ["--packed"]) if shape[3] == 1 else ([],):
            if a.only in sizes:
                compare(a.attend, arguments + packed, calls, rounds=a.rounds, threads=a.threads,
                        measure=lambda call, runs: call(runs))


if __name__ == "__main__":
    main()
