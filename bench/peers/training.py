#!/usr/bin/env python3
"""Training steps, attend beside PyTorch eager, in turns.

usage: training.py ATTEND [--model nmt-step] [--width N] [--bfloat16] [--threads 2] [--rounds 5]
needs: pip install torch

The same shapes for both; forward, backward and Adam, no dropout; float32, or with --bfloat16 mixed precision, for PyTorch
as torch.autocast has it.

nmt-step      batch 64, 16 words each way, vocabulary 5,000, word vectors of 256, bidirectional GRU encoder, additive
              attention before every step of a GRU decoder, the directions joined (Bahdanau, Cho, Bengio 2015)
nmt           the same sizes; the decoder runs over the words alone, all of its states attend at once, and the directions
              are summed (the TensorFlow tutorial's)
transformer   nn.Transformer with 8 heads, 4 layers a stack (6 from width 512 on), vocabulary 8,000, batch 64 x 32
gpt           6 pre-norm layers of 6 heads on scaled_dot_product_attention, vocabulary 5,000, batch 8 x 256"""
import argparse

from turns import compare

V, E = 5000, 256


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


def transformer(width):
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

    return Translator()


def gpt(width):
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

    return GPT()


WIDTHS = {"transformer": 128, "gpt": 384}
MODELS = {  # what makes it, vocabulary, batch, words
    "nmt-step": (stepwise, V, 64, 16),
    "nmt": (tutorial, V, 64, 16),
    "transformer": (transformer, 8000, 64, 32),
    "gpt": (gpt, 5000, 8, 256),
}


def torch_step(name, width, threads, bfloat16):
    import torch
    import torch.nn.functional as F
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    make, vocabulary, batch, words = MODELS[name]
    model = make(width)
    optimiser = torch.optim.Adam(model.parameters(), 1e-4, foreach=True)
    source, target, wanted = (torch.randint(0, vocabulary, (batch, words)) for _ in range(3))

    def step():
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = F.cross_entropy(model(source, target).flatten(0, 1), wanted.flatten())
        loss.backward()
        optimiser.step()

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("attend")
    parser.add_argument("--model", default="nmt-step", choices=list(MODELS))
    parser.add_argument("--width", type=int, help="256, but 128 for transformer and 384 for gpt")
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    a = parser.parse_args()
    width = a.width or WIDTHS.get(a.model, 256)
    arguments = ["train", "--model", a.model, "--width", str(width)] + ["--bfloat16"] * a.bfloat16
    peers = {"pytorch": torch_step(a.model, width, a.threads, a.bfloat16)}
    compare(a.attend, arguments, peers, rounds=a.rounds, runs=3, threads=a.threads)


if __name__ == "__main__":
    main()
