"""A recipe that trains in a fraction of a second, and a reader of what it leaves behind."""

import json
import pathlib

import numpy

RECIPE = pathlib.Path(__file__).resolve().parents[2] / "recipes" / "dates.yaml"

KEYS = {
    "data.synthetic_train": 300,
    "data.synthetic_valid": 20,
    "model.embedding": 8,
    "model.encoder_units": 8,
    "model.decoder_units": 8,
    "model.attention_units": 8,
    "train.folder": "run",
    "train.steps": 40,
    "train.batch_sentences": 16,
    "train.validate_every": 10,
    "train.save_every": 3,
    "train.valid_sentences": 20,
}


def arguments(recipe=RECIPE, **changes):
    """train's operands; model__cell="lstm" is model.cell=lstm. One thread: tests share their machine."""
    keys = KEYS | {name.replace("__", "."): value for name, value in changes.items()}
    return [recipe, *(f"{name}={value}" for name, value in keys.items()), "--threads", 1]


def read_safetensors(path):
    """(tensors, metadata) of a file, without any help of the library under test."""
    content = pathlib.Path(path).read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8:8 + size])
    metadata, body = header.pop("__metadata__", {}), content[8 + size:]
    kinds = {"F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8"}
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = numpy.frombuffer(body[begin:end], kinds[entry["dtype"]]).reshape(entry["shape"])
    return tensors, metadata


def read_log(path):
    """The steps and the validations of a log."""
    lines = [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]
    return [x for x in lines if "loss" in x], [x for x in lines if "valid_loss" in x]
