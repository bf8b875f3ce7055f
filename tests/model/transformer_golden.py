#!/usr/bin/env python3
"""Writes transformer_golden.h: losses, logits and gradients of three small Transformers, in float64 by PyTorch's
functions and its autograd. Needs torch. The weights are a formula of name and place, the same in test_golden.c."""
import math
import sys

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
V, C, H, FF = 13, 12, 3, 20
source = torch.tensor([[4, 5, 9, 3, 0], [7, 12, 6, 4, 3]])
length = [4, 5]
segment = torch.tensor([[0, 0, 1, 1, 0], [0, 1, 1, 1, 1]])
target_in = torch.tensor([[2, 5, 6, 8], [2, 11, 10, 4]])
target_out = torch.tensor([[5, 6, 8, 3], [11, 10, 4, -1]])
masked_out = torch.tensor([[-1, 5, -1, 3, -1], [7, -1, 6, -1, -1]])


class Weights:
    def __init__(self):
        self.made = {}

    def __call__(self, name, *shape):
        if name not in self.made:
            k = sum((i + 1) * ord(c) for i, c in enumerate(name)) % 1000
            e = torch.arange(math.prod(shape))
            w = 0.3 * torch.sin(0.7 * e + k).float().double() + (1 if name.endswith(".gain") else 0)
            self.made[name] = w.float().double().reshape(shape).requires_grad_()
        return self.made[name]

    def linear(self, name, x, n):
        return x @ self(name + ".kernel", x.shape[-1], n) + self(name + ".bias", n)

    def norm(self, name, x, eps):
        return F.layer_norm(x, x.shape[-1:], self(name + ".gain", C), self(name + ".bias", C), eps)


def heads(x):
    return x.unflatten(-1, (H, C // H)).transpose(1, 2)


def attend(q, k, v, mask=None, causal=False):
    o = F.scaled_dot_product_attention(heads(q), heads(k), heads(v), attn_mask=mask, is_causal=causal)
    return o.transpose(1, 2).flatten(2)


def stack(w, name, layers, x, pre, act, eps, mask=None, memory=None, memory_mask=None, causal=False):
    def residual(x, norm, f):
        return x + f(w.norm(norm, x, eps)) if pre else w.norm(norm, x + f(x), eps)

    for l in range(layers):
        p = f"{name}.{l}."
        def self_attention(x):
            q, k, v = w.linear(p + "attention.qkv", x, 3 * C).chunk(3, -1)
            return w.linear(p + "attention.output", attend(q, k, v, mask, causal), C)
        def cross(x):
            k, v = w.linear(p + "cross.key_value", memory, 2 * C).chunk(2, -1)
            return w.linear(p + "cross.output", attend(w.linear(p + "cross.query", x, C), k, v, memory_mask), C)
        def feed(x):
            return w.linear(p + "feed_forward.down", act(w.linear(p + "feed_forward.up", x, FF)), C)
        x = residual(x, p + "attention_norm", self_attention)
        if memory is not None:
            x = residual(x, p + "cross_norm", cross)
        x = residual(x, p + "feed_forward_norm", feed)
    return w.norm(name + ".norm", x, eps) if pre else x


def sine(T):
    t, i = torch.arange(T)[:, None], torch.arange(C // 2)[None]
    angle = t / 10000 ** (2 * i / C)
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)


def vaswani(w):
    words = w("words", V, C)
    mask = torch.tensor([[j < n for j in range(5)] for n in length])[:, None, None]
    x = stack(w, "encoder", 2, words[source] * math.sqrt(C) + sine(5), False, F.relu, 1e-5, mask)
    y = stack(w, "decoder", 2, words[target_in] * math.sqrt(C) + sine(4), False, F.relu, 1e-5, None, x, mask, True)
    return y @ words.T, target_out, 0.1


def gpt2(w):
    words, place = w("words", V, C), w("decoder.positions", 8, C)
    gelu = lambda x: F.gelu(x, approximate="tanh")
    y = stack(w, "decoder", 2, words[target_in] + place[:4], True, gelu, 1e-5, causal=True)
    return y @ words.T, target_out, 0.0


def bert(w):
    words, place, kind = w("words", V, C), w("encoder.positions", 8, C), w("encoder.segments", 2, C)
    mask = torch.tensor([[j < n for j in range(5)] for n in length])[:, None, None]
    x = w.norm("encoder.embedding_norm", words[source] + kind[segment] + place[:5], 1e-12)
    x = stack(w, "encoder", 2, x, False, F.gelu, 1e-12, mask)
    x = w.norm("head.norm", F.gelu(w.linear("head.dense", x, C)), 1e-12)
    return x @ words.T + w("output.bias", V), masked_out, 0.0


def numbers(values):
    return ", ".join(f"{v:.12g}" for v in values)


def main(path):
    out = ["/* Made by transformer_golden.py. */"]
    for model in (vaswani, gpt2, bert):
        w = Weights()
        logits, target, smoothing = model(w)
        chosen, words = logits[target >= 0], target[target >= 0]
        loss = F.cross_entropy(chosen, words, label_smoothing=smoothing, reduction="sum")
        loss.backward()
        out.append(f"static const double {model.__name__}_loss = {loss.item():.12g};")
        if model is gpt2:
            out.append(f"static const double gpt2_logits[] = {{{numbers(chosen[0].tolist())}}};")
        out.append(f"static const golden_gradient {model.__name__}_gradients[] = {{")
        for name, v in sorted(w.made.items()):
            g = v.grad.flatten()
            out.append(f'    {{"{name}", {g.norm().item():.12g}, {g[len(g) // 2].item():.12g}}},')
        out.append("    {0}};")
    with open(path, "w") as f:
        f.write("\n".join(out) + "\n")


main(sys.argv[1] if len(sys.argv) > 1 else __file__.replace(".py", ".h"))
