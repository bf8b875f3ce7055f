#!/usr/bin/env python3
"""Training step of the alignment model, attend beside PyTorch eager, in turns.

usage: nmt_step.py ATTEND [--width 256] [--threads 2] [--rounds 5]       needs: pip install torch

Both train the model of Bahdanau, Cho and Bengio (2015) on the same shapes: batch 64, 16 words each way, vocabulary 5,000,
word vectors of 256, bidirectional GRU encoder, additive attention before every step of the GRU decoder, tanh readout;
forward, backward and Adam, float32. Prints target tokens per second (medians) and the ratio."""
import argparse
import json
import statistics
import subprocess
import time

B, T, V, E = 64, 16, 5000, 256


def torch_model(width):
    import torch
    from torch import nn

    class Translator(nn.Module):
        def __init__(self):
            super().__init__()
            self.source, self.target = nn.Embedding(V, E), nn.Embedding(V, E)
            self.encoder = nn.GRU(E, width, batch_first=True, bidirectional=True)
            self.start = nn.Linear(width, width)
            self.query, self.key = nn.Linear(width, width, bias=False), nn.Linear(2 * width, width)
            self.score = nn.Linear(width, 1, bias=False)
            self.cell = nn.GRUCell(E + 2 * width, width)
            self.readout, self.output = nn.Linear(3 * width + E, E), nn.Linear(E, V)

        def forward(self, source, target):
            states, last = self.encoder(self.source(source))
            keys, words, made = self.key(states), self.target(target), []
            state = torch.tanh(self.start(last[1]))
            for t in range(target.shape[1]):
                scores = self.score(torch.tanh(self.query(state)[:, None] + keys)).squeeze(-1)
                context = (scores.softmax(-1)[:, None] @ states)[:, 0]
                state = self.cell(torch.cat([words[:, t], context], -1), state)
                made.append(torch.cat([state, context, words[:, t]], -1))
            return self.output(torch.tanh(self.readout(torch.stack(made, 1))))

    return Translator()


def torch_step(width, threads):
    import torch
    import torch.nn.functional as F
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = torch_model(width)
    optimiser = torch.optim.Adam(model.parameters(), 1e-4, foreach=True)
    source, target, wanted = (torch.randint(0, V, (B, T)) for _ in range(3))

    def step():
        optimiser.zero_grad(set_to_none=True)
        F.cross_entropy(model(source, target).flatten(0, 1), wanted.flatten()).backward()
        optimiser.step()

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attend")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    a = parser.parse_args()
    step = torch_step(a.width, a.threads)
    step()
    command = [a.attend, "bench", "train", "--model", "nmt-step", "--width", str(a.width), "--threads", str(a.threads),
               "--runs", "5", "--json"]
    theirs, ours, ratios = [], [], []
    for _ in range(a.rounds):
        times = []
        for _ in range(3):
            began = time.perf_counter()
            step()
            times.append(time.perf_counter() - began)
        theirs.append(B * T / statistics.median(times))
        result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        ours.append(result["tokens_per_s"])
        ratios.append(ours[-1] / theirs[-1])
    print(json.dumps({"width": a.width, "threads": a.threads, "pytorch_tokens_per_s": round(statistics.median(theirs)),
                      "attend_tokens_per_s": round(statistics.median(ours)), "ratio": round(statistics.median(ratios), 2),
                      "ratio_min": round(min(ratios), 2), "attend_share_of_fma_limit": round(result["share"], 3)}))


if __name__ == "__main__":
    main()
