#!/usr/bin/env python3
"""Training steps of translators, attend beside PyTorch eager, in turns.

usage: training.py ATTEND [--model nmt-step] [--width 256] [--threads 2] [--rounds 5]       needs: pip install torch

The same shapes for both: batch 64, 16 words each way, vocabulary 5,000, word vectors of 256, bidirectional GRU encoder,
additive attention, GRU decoder; forward, backward and Adam, float32. In nmt-step (Bahdanau, Cho, Bengio 2015) attention
comes before every step of the decoder and the directions are joined; in nmt (the TensorFlow tutorial's) the decoder
runs over the words alone, all of its states attend at once, and the directions are summed."""
import argparse

from turns import compare

B, T, V, E = 64, 16, 5000, 256


def stepwise(width):
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


def tutorial(width):
    import torch
    from torch import nn

    class Translator(nn.Module):
        def __init__(self):
            super().__init__()
            self.source, self.target = nn.Embedding(V, E), nn.Embedding(V, E)
            self.encoder = nn.GRU(E, width, batch_first=True, bidirectional=True)
            self.decoder = nn.GRU(E, width, batch_first=True)
            self.query, self.key = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
            self.score = nn.Parameter(torch.randn(width) * 0.03)
            self.combine, self.output = nn.Linear(2 * width, width), nn.Linear(width, V)

        def forward(self, source, target):
            states, _ = self.encoder(self.source(source))
            states = states[..., :width] + states[..., width:]
            decoded, _ = self.decoder(self.target(target))
            scores = torch.tanh(self.query(decoded)[:, :, None] + self.key(states)[:, None]) * self.score
            context = scores.sum(-1).softmax(-1) @ states
            return self.output(torch.tanh(self.combine(torch.cat([context, decoded], -1))))

    return Translator()


def torch_step(name, width, threads):
    import torch
    import torch.nn.functional as F
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = {"nmt-step": stepwise, "nmt": tutorial}[name](width)
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
    parser.add_argument("--model", default="nmt-step", choices=["nmt-step", "nmt"])
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    a = parser.parse_args()
    arguments = ["train", "--model", a.model, "--width", str(a.width)]
    peers = {"pytorch": torch_step(a.model, a.width, a.threads)}
    compare(a.attend, arguments, peers, rounds=a.rounds, runs=3, threads=a.threads)


if __name__ == "__main__":
    main()
