"""Gradients of the training loss equal those of `transformers`.

Theirs are written as the weights of a model of their own and converted, which puts them into the layout that attend's
have: conversion moves and joins tensors, and changes no number."""

import numpy
import pytest
import torch
from test_convert import BERT, GPT2, MARIAN, V, batch, make
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel, MarianConfig, MarianMTModel

IGNORED = -100


@pytest.fixture(autouse=True)
def recorded():
    """Other files of this folder switch gradients off for the whole process."""
    with torch.enable_grad():
        yield


def compare(attend, load, folder, theirs, logits, labels, **mine):
    """Each tensor relative to its own largest number. Where mathematics says 0, as for biases of keys (they move all
    scores of a row alike), both are noise: there relative to the largest of all."""
    attend("convert", "theirs", "-o", "mine.att")
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum", ignore_index=IGNORED).backward()
    with torch.no_grad():
        for weight in theirs.parameters():
            weight.copy_(torch.zeros_like(weight) if weight.grad is None else weight.grad)
    theirs.save_pretrained(folder / "gradients")
    attend("convert", "gradients", "-o", "gradients.att")
    want = load(folder / "gradients.att").values()
    got = load(folder / "mine.att").gradients(**mine)
    assert got.keys() == want.keys()
    largest = max(numpy.abs(w).max() for w in want.values())
    seen = 0
    for name, w in want.items():
        if name == "output.bias" and isinstance(theirs, MarianMTModel):
            continue  # no parameter there, but a constant
        scale = max(numpy.abs(w).max(), 1e-3 * largest)
        error = numpy.abs(got[name] - w).max() / scale
        assert error <= 2e-5, (name, error)
        seen += numpy.abs(w).max() > 1e-3 * largest
    assert seen > len(want) / 2


@pytest.mark.parametrize("size", GPT2)
def test_gpt2(attend, load, tmp_path, size):
    still = dict(resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)
    theirs = make(GPT2LMHeadModel, GPT2Config(vocab_size=V, **size, **still), tmp_path / "theirs")
    draw = numpy.random.default_rng(1)
    ids, labels = draw.integers(0, V, (3, 16)), draw.integers(0, V, (3, 16))
    labels[1, 4:9] = IGNORED
    logits = theirs(torch.tensor(ids)).logits
    compare(attend, load, tmp_path, theirs, logits, torch.tensor(labels), target_in=ids, target_out=labels)


@pytest.mark.parametrize("size", BERT)
def test_bert(attend, load, tmp_path, size):
    still = dict(hidden_dropout_prob=0, attention_probs_dropout_prob=0)
    config = BertConfig(vocab_size=V, **size, **still)
    theirs = make(BertForMaskedLM, config, tmp_path / "theirs")
    draw = numpy.random.default_rng(2)
    ids, lengths, mask = batch(draw)
    kinds = draw.integers(0, config.type_vocab_size, ids.shape)
    labels = numpy.where((draw.random(ids.shape) < 0.4) & (mask.numpy() > 0), draw.integers(0, V, ids.shape), IGNORED)
    logits = theirs(torch.tensor(ids), attention_mask=mask, token_type_ids=torch.tensor(kinds)).logits
    compare(attend, load, tmp_path, theirs, logits, torch.tensor(labels), source=ids, lengths=lengths, segments=kinds,
            target_out=labels)


@pytest.mark.parametrize("size", MARIAN)
def test_marian(attend, load, tmp_path, size):
    still = dict(dropout=0, attention_dropout=0, activation_dropout=0)
    config = MarianConfig(vocab_size=V, pad_token_id=V - 1, decoder_start_token_id=V - 1, max_position_embeddings=64,
                          **size, **still)
    theirs = make(MarianMTModel, config, tmp_path / "theirs")
    draw = numpy.random.default_rng(3)
    ids, lengths, mask = batch(draw)
    target, labels = draw.integers(0, V - 1, (5, 9)), draw.integers(0, V - 1, (5, 9))
    labels[2, 5:] = IGNORED
    logits = theirs(torch.tensor(ids), attention_mask=mask, decoder_input_ids=torch.tensor(target)).logits
    compare(attend, load, tmp_path, theirs, logits, torch.tensor(labels), source=ids, lengths=lengths, target_in=target,
            target_out=labels)
