"""The shared library's tokenisers and models through ctypes."""

import ctypes
import pathlib

import numpy
import pytest


class Text(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("bytes", ctypes.c_size_t)]


class Desc(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int), ("normalise", ctypes.c_int), ("vocabulary", ctypes.c_int64),
                ("min_count", ctypes.c_int64), ("coverage", ctypes.c_double)]


PAD, UNK, BOS, EOS, MASK = range(5)
PLAIN, NONE = range(2)
BYTE_BPE = 3


def load(command):
    """The library beside the command."""
    try:
        return Library(str(pathlib.Path(command).parent / "libattend.so"))
    except OSError as error:  # a sanitizer's runtime must be loaded before Python itself
        pytest.skip(str(error))


class Library:
    def __init__(self, path):
        self.call = ctypes.CDLL(path)
        for name in ("att_last_error", "att_tokenizer_piece"):
            getattr(self.call, name).restype = ctypes.c_char_p
        self.call.att_tokenizer_size.restype = ctypes.c_int64

    def check(self, status):
        if status:
            raise ValueError(self.call.att_last_error().decode())

    def read(self, path):
        handle = ctypes.c_void_p()
        self.check(self.call.att_tokenizer_read(str(path).encode(), None, ctypes.byref(handle)))
        return Tokenizer(self, handle)

    def from_json(self, json):
        handle = ctypes.c_void_p()
        self.check(self.call.att_tokenizer_from_json(json, ctypes.c_size_t(len(json)), None, ctypes.byref(handle)))
        return Tokenizer(self, handle)

    def train(self, lines, **desc):
        array = (Text * len(lines))(*((line, len(line)) for line in lines))
        handle = ctypes.c_void_p()
        self.check(self.call.att_tokenizer_train(ctypes.byref(Desc(**desc)), array, ctypes.c_int64(len(lines)), None,
                                                 ctypes.byref(handle)))
        return Tokenizer(self, handle)


class Tokenizer:
    def __init__(self, library, handle):
        self.library, self.call, self.handle = library, library.call, handle
        self.ids, self.n = numpy.zeros(1 << 16, numpy.int32), ctypes.c_int64()

    def __del__(self):
        self.call.att_tokenizer_destroy(self.handle)

    def __len__(self):
        return self.call.att_tokenizer_size(self.handle)

    def encode(self, text):
        """The ids of a string or of bytes."""
        data = text if isinstance(text, bytes) else text.encode()
        if len(self.ids) < 2 * len(data) + 16:
            self.ids = numpy.zeros(3 * len(data) + 16, numpy.int32)
        self.library.check(self.call.att_tokenizer_encode(
            self.handle, data, ctypes.c_size_t(len(data)), self.ids.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int64(len(self.ids)), ctypes.byref(self.n)))
        return self.ids[:self.n.value].tolist()

    def encode_pair(self, first, second=None, most=0):
        """(ids, segments)"""
        texts = [Text(x.encode(), len(x.encode())) if x is not None else None for x in (first, second)]
        pointers = [ctypes.byref(x) if x is not None else None for x in texts]
        segments = numpy.zeros_like(self.ids)
        self.library.check(self.call.att_tokenizer_encode_pair(
            self.handle, *pointers, ctypes.c_int64(most), self.ids.ctypes.data_as(ctypes.c_void_p),
            segments.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(len(self.ids)), ctypes.byref(self.n)))
        return self.ids[:self.n.value].tolist(), segments[:self.n.value].tolist()

    def decode(self, ids):
        ids = numpy.asarray(ids, numpy.int32)
        out, size = ctypes.create_string_buffer(64 * len(ids) + 64), ctypes.c_size_t()
        self.library.check(self.call.att_tokenizer_decode(
            self.handle, ids.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(len(ids)), out,
            ctypes.c_size_t(len(out)), ctypes.byref(size)))
        return out.raw[:size.value].decode()

    def to_json(self):
        text = ctypes.c_void_p()
        self.library.check(self.call.att_tokenizer_to_json(self.handle, ctypes.byref(text)))
        copy = ctypes.string_at(text)
        self.call.att_text_free(None, text)
        return copy

    def role(self, role):
        return self.call.att_tokenizer_role(self.handle, role)

    def write(self, folder):
        self.library.check(self.call.att_tokenizer_write(self.handle, str(folder).encode()))


class View(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("dtype", ctypes.c_int), ("ndim", ctypes.c_int),
                ("dim", ctypes.c_int64 * 6), ("stride", ctypes.c_int64 * 6)]


def view(array):
    """A pointer to the array as an att_view; NULL for None."""
    if array is None:
        return None
    out = View(array.ctypes.data, {"float32": 0, "int32": 5}[array.dtype.name], array.ndim)
    for i, (dim, stride) in enumerate(zip(array.shape, array.strides)):
        out.dim[i], out.stride[i] = dim, stride // array.itemsize
    return ctypes.byref(out)


class Model:
    """att_model through ctypes."""

    def __init__(self, call, path):
        self.call, self.handle = call, ctypes.c_void_p()
        self.check(call.att_model_load(str(path).encode(), None, None, ctypes.byref(self.handle)))

    def __del__(self):
        self.call.att_model_destroy(self.handle)

    def check(self, status):
        if status:
            raise ValueError(self.call.att_last_error().decode())

    def logits(self, ids, vocabulary, lengths=None, segments=None, target=None):
        ids, lengths, segments, target = (None if x is None else numpy.ascontiguousarray(x, numpy.int32)
                                          for x in (ids, lengths, segments, target))
        out = numpy.empty((*(ids if target is None else target).shape, vocabulary), numpy.float32)
        self.check(self.call.att_model_logits(self.handle, view(ids), view(lengths), view(segments), view(target),
                                              view(out)))
        return out
