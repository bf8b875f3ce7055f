#!/usr/bin/env python3
"""Prints the coefficients of 2^r = 1 + c1 r + .. + c6 r^6 on [0, 1] that src/kernel/cpu/vmath.h has for AVX-512, and the
largest relative error of the sum in float32. Needs numpy and scipy. Minimax, rounded to float32 one after the other from
c6 on, the others fitted again after each."""
import numpy as np
from scipy.optimize import linprog

x = (1 - np.cos(np.pi * np.arange(1, 4001) / 4000)) / 2
y = np.exp2(x)


def fit(fixed):
    """The lower coefficients that make the largest |1 + sum c x^p - y| / y as small as can be."""
    rest = (y - 1 - sum(c * x ** p for p, c in fixed)) / y
    A = np.array([x ** p / y for p in range(1, 7 - len(fixed))]).T
    one = np.ones((len(x), 1))
    return linprog([0] * A.shape[1] + [1], A_ub=np.block([[A, -one], [-A, -one]]), b_ub=np.concatenate([rest, -rest]),
                   bounds=[(None, None)] * A.shape[1] + [(0, None)], method="highs").x[:-1]


def evaluate(c, r):
    """As multiply-adds of float32 do, but for a second rounding."""
    total = np.full_like(r, c[0])
    for next_one in (*c[1:], np.float32(1)):
        total = (total.astype(np.float64) * r + np.float64(next_one)).astype(np.float32)
    return total


fixed = []
for power in range(6, 0, -1):
    fixed.append((power, float(np.float32(fit(fixed)[-1]))))
c = [np.float32(value) for _, value in fixed]
r = np.linspace(0, 1, 8_000_001).astype(np.float32)
error = np.abs(evaluate(c, r) / np.exp2(r.astype(np.float64)) - 1)
print(*(f"{value:.9e}" for value in c))
print(f"largest relative error {error.max():.3g}, 2^0 = {evaluate(c, r[:1])[0]}, 2^1 = {evaluate(c, r[-1:])[0]}")
