#!/usr/bin/env python3
"""Training step of a Transformer, attend beside PyTorch eager, in turns.

usage: transformer_step.py ATTEND [--model transformer|gpt] [--width 128] [--rounds 4]       needs: pip install torch

transformer: nn.Transformer with 8 heads, 4 layers a stack (6 from width 512 on), vocabulary 8,000, batch 64 x 32.
gpt: 6 pre-norm layers of 6 heads on scaled_dot_product_attention, vocabulary 5,000, batch 8 x 256. Forward, backward and
Adam, float32, no dropout. Prints target tokens per second (medians) and the ratio."""
import argparse
import json
import statistics
import subprocess
import time


def torch_translator(width):
    import torch
    from torch import nn

    class Translator(nn.Module):
        def __init__(self):
            super().__init__()
            layers = 4 if width < 512 else 6
            self.source, self.target = nn.Embedding(8000, width), nn.Embedding(8000, width)
            self.body = nn.Transformer(width, 8, layers, layers, 4 * width, 0.0, batch_first=True)
            self.output = nn.Linear(width, 8000)

        def forward(self, source, target):
            hidden = torch.triu(torch.full((target.shape[1],) * 2, float("-inf")), 1)
            return self.output(self.body(self.source(source), self.target(target), tgt_mask=hidden, tgt_is_causal=True))

    return Translator(), 8000, 64, 32


def torch_gpt(width):
    import torch
    import torch.nn.functional as F
    from torch import nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
            self.qkv, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x):
            heads = self.qkv(self.norms[0](x)).unflatten(-1, (3, 6, width // 6)).permute(2, 0, 3, 1, 4)
            x = x + self.mix(F.scaled_dot_product_attention(*heads, is_causal=True).transpose(1, 2).flatten(2))
            return x + self.down(F.gelu(self.up(self.norms[1](x)), approximate="tanh"))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.places = nn.Embedding(5000, width), nn.Parameter(torch.randn(256, width) * 0.02)
            self.blocks = nn.Sequential(*[Block() for _ in range(6)])
            self.norm, self.output = nn.LayerNorm(width), nn.Linear(width, 5000, bias=False)

        def forward(self, source, target):
            return self.output(self.norm(self.blocks(self.words(target) + self.places)))

    return GPT(), 5000, 8, 256


def torch_step(kind, width, threads):
    import torch
    import torch.nn.functional as F
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model, V, B, T = torch_gpt(width) if kind == "gpt" else torch_translator(width)
    optimiser = torch.optim.Adam(model.parameters(), 1e-4, foreach=True)
    source, target, wanted = (torch.randint(0, V, (B, T)) for _ in range(3))

    def step():
        optimiser.zero_grad(set_to_none=True)
        F.cross_entropy(model(source, target).flatten(0, 1), wanted.flatten()).backward()
        optimiser.step()

    return step, B * T


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attend")
    parser.add_argument("--model", choices=["transformer", "gpt"], default="transformer")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=4)
    a = parser.parse_args()
    step, tokens = torch_step(a.model, a.width, a.threads)
    step()
    command = [a.attend, "bench", "train", "--model", a.model, "--width", str(a.width), "--threads", str(a.threads),
               "--runs", "3", "--json"]
    theirs, ours, ratios = [], [], []
    for _ in range(a.rounds):
        times = []
        for _ in range(3):
            began = time.perf_counter()
            step()
            times.append(time.perf_counter() - began)
        theirs.append(tokens / statistics.median(times))
        result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        ours.append(result["tokens_per_s"])
        ratios.append(ours[-1] / theirs[-1])
    print(json.dumps({"model": a.model, "width": a.width, "threads": a.threads,
                      "pytorch_tokens_per_s": round(statistics.median(theirs)),
                      "attend_tokens_per_s": round(statistics.median(ours)), "ratio": round(statistics.median(ratios), 2),
                      "ratio_min": round(min(ratios), 2), "attend_share_of_fma_limit": round(result["share"], 3)}))


if __name__ == "__main__":
    main()
