#!/usr/bin/env python3
"""Additive attention, attend beside PyTorch (compiled) and Keras (tf.function), in turns.

usage: additive.py ATTEND [--peers pytorch,keras] [--threads 2] [--rounds 3] [--lengths]
needs: pip install torch keras tensorflow-cpu

score = sum_d scale_d tanh(q + k), softmax, weighted sum. Ratios are the peer's time over attend's. --lengths instead
measures the forward at growing lengths, for the plot."""
import argparse
import os

from turns import compare

ROWS = [((8, 256, 256, 256), False), ((8, 256, 256, 256), True), ((64, 1, 16, 256), False)]
LENGTHS = [((1, T, T, 128), backward) for T in (32, 64, 128, 256, 512, 1024) for backward in (False, True)]


def pytorch(shape, backward, threads):
    import torch
    torch.set_num_threads(threads)
    B, Tq, Tk, D = shape

    @torch.compile(dynamic=False)
    def attention(q, k, v, w):
        return (torch.tanh(q[:, :, None, :] + k[:, None, :, :]) * w).sum(-1).softmax(-1) @ v

    q, k, v, w, g = (torch.randn(*s) for s in ((B, Tq, D), (B, Tk, D), (B, Tk, D), (D,), (B, Tq, D)))

    def forward():
        with torch.no_grad():
            attention(q, k, v, w)

    def both():
        for x in (q, k, v, w):
            x.grad = None
        attention(q, k, v, w).backward(g)

    if not backward:
        return forward
    for x in (q, k, v, w):
        x.requires_grad_()
    return both


def keras(shape, backward, threads):
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")
    import tensorflow as tf
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        pass  # set by the row before
    B, Tq, Tk, D = shape
    q, k, v, g = (tf.random.normal(s) for s in ((B, Tq, D), (B, Tk, D), (B, Tk, D), (B, Tq, D)))
    layer = tf.keras.layers.AdditiveAttention(use_scale=True)
    layer([q, v, k])

    @tf.function
    def forward():
        return [layer([q, v, k])]

    @tf.function
    def both():
        with tf.GradientTape() as tape:
            tape.watch([q, k, v])
            y = tf.reduce_sum(layer([q, v, k]) * g)
        return tape.gradient(y, [q, k, v] + layer.trainable_variables)

    return lambda: [x.numpy() for x in (both if backward else forward)()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attend")
    parser.add_argument("--peers", default="pytorch,keras")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lengths", action="store_true")
    a = parser.parse_args()
    for shape, backward in LENGTHS if a.lengths else ROWS:
        makers = {"pytorch": pytorch, "keras": keras}
        peers = {name: makers[name](shape, backward, a.threads) for name in a.peers.split(",")}
        arguments = ["additive", "--shape", ",".join(map(str, shape))] + ["--backward"] * backward
        compare(a.attend, arguments + ["--prepared"] * (shape[1] == 1), peers, rounds=a.rounds, runs=3,
                threads=a.threads)


if __name__ == "__main__":
    main()
