#!/usr/bin/env python3
"""Attention and decoding, attend beside PyTorch's scaled_dot_product_attention, in turns.

usage: attention.py ATTEND [--only TEXT] [--threads 2] [--rounds 5] [--lengths]
needs: pip install torch; with --lengths keras tensorflow-cpu too

One line of JSON for each shape; ratios are the peer's time over attend's. --lengths instead measures the forward, and
the forward with the backward, at growing lengths, beside Keras's dot_product_attention as well: plot.py draws them."""
import argparse
import os

import torch
import torch.nn.functional as F

from turns import compare

ROWS = [  # B, heads, key heads, Tq, Tk, D, flags
    (1, 8, 8, 2048, 2048, 64, ""), (1, 16, 16, 4096, 4096, 128, ""), (1, 8, 8, 2048, 2048, 64, "backward"),
    (4, 8, 8, 512, 512, 64, "causal"), (4, 8, 8, 512, 512, 64, "causal backward"), (1, 8, 8, 128, 128, 64, "causal"),
    (1, 8, 8, 2048, 2048, 64, "bf16"), (1, 8, 8, 2048, 2048, 64, "backward bf16"), (1, 8, 8, 1, 32768, 64, "decode"),
    (1, 32, 8, 1, 32768, 128, "decode"), (1, 8, 8, 1, 32768, 64, "decode bf16"),
    (1, 32, 8, 1, 32768, 128, "decode bf16")]
LENGTHS = [(1, 8, 8, T, T, 64, flags) for T in (64, 128, 256, 512, 1024, 2048, 4096) for flags in ("", "backward")]


def name(row):
    return ",".join(map(str, row[:-1])) + " " + row[-1]


def pytorch(B, Hq, Hkv, Tq, Tk, D, flags):
    dtype = torch.bfloat16 if "bf16" in flags else torch.float32
    q = torch.rand(B, Hq, Tq, D).to(dtype) - 0.5
    k, v = (torch.rand(B, Hkv, Tk, D).to(dtype) - 0.5 for _ in range(2))
    g = torch.rand(B, Hq, Tq, D).to(dtype)
    settings = {"is_causal": "causal" in flags, "enable_gqa": Hq != Hkv}

    def forward():
        with torch.no_grad():
            F.scaled_dot_product_attention(q, k, v, **settings)

    def both():
        for x in (q, k, v):
            x.grad = None
        F.scaled_dot_product_attention(q, k, v, **settings).backward(g)

    if "backward" not in flags:
        return forward
    for x in (q, k, v):
        x.requires_grad_()
    return both


def keras(B, Hq, Hkv, Tq, Tk, D, flags):
    os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
    import keras
    import tensorflow as tf
    try:
        tf.config.threading.set_intra_op_parallelism_threads(torch.get_num_threads())
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        pass  # set by the row before
    q, g = (tf.random.uniform((B, Tq, Hq, D)) - 0.5 for _ in range(2))
    k, v = (tf.random.uniform((B, Tk, Hkv, D)) - 0.5 for _ in range(2))

    @tf.function
    def forward():
        return [keras.ops.dot_product_attention(q, k, v)]

    @tf.function
    def both():
        with tf.GradientTape() as tape:
            tape.watch([q, k, v])
            o = tf.reduce_sum(keras.ops.dot_product_attention(q, k, v) * g)
        return tape.gradient(o, [q, k, v])

    return lambda: [x.numpy() for x in (both if "backward" in flags else forward)()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attend")
    parser.add_argument("--only", default="", help="rows that contain this, such as 'decode bf16' or 1,8,8,2048")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--lengths", action="store_true")
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    for row in LENGTHS if a.lengths else [r for r in ROWS if a.only in name(r)]:
        flags = row[-1].split()
        arguments = ["decode" if "decode" in flags else "attention", "--shape", ",".join(map(str, row[:-1]))]
        arguments += ["--" + f for f in flags if f in ("causal", "backward")]
        arguments += ["--dtype", "bf16"] if "bf16" in flags else []
        peers = {"pytorch": pytorch(*row)}
        if a.lengths:
            peers["keras"] = keras(*row)
        compare(a.attend, arguments, peers, rounds=a.rounds, threads=a.threads)


if __name__ == "__main__":
    main()
