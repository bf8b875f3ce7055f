"""The shared library's tokenisers and models through ctypes."""

import ctypes
import pathlib

import numpy
import pytest


class Text(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("bytes", ctypes.c_size_t)]


class Desc(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int), ("normalise", ctypes.c_int), ("vocabulary", ctypes.c_int64),
                ("min_count", ctypes.c_int64), ("coverage", ctypes.c_double), ("cased", ctypes.c_int)]


PAD, UNK, BOS, EOS, MASK = range(5)
PLAIN, NONE = range(2)
BYTE_BPE, WORDPIECE = 3, 4


def load(command):
    """The library beside the command."""
    try:
        return Library(str(pathlib.Path(command).parent / "libattend.so"))
    except OSError as error:  # a sanitizer's runtime must be loaded before Python itself
        pytest.skip(str(error))


class Library:
    def __init__(self, path):
        self.call = ctypes.CDLL(path)
        for name in ("att_last_error", "att_tokenizer_piece", "att_parameter_name"):
            getattr(self.call, name).restype = ctypes.c_char_p
        for name in ("att_tokenizer_size", "att_params_count", "att_params_elements"):
            getattr(self.call, name).restype = ctypes.c_int64
        for name in ("att_model_transformer", "att_transformer_configuration", "att_transformer_params",
                     "att_params_at", "att_parameter_value", "att_parameter_gradient"):
            getattr(self.call, name).restype = ctypes.c_void_p

    def check(self, status):
        if status:
            raise ValueError(self.call.att_last_error().decode())

    def read(self, path, target=False):
        handle = ctypes.c_void_p()
        call = self.call.att_tokenizer_read_target if target else self.call.att_tokenizer_read
        self.check(call(str(path).encode(), None, ctypes.byref(handle)))
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
    def __init__(self, owner, handle):
        self.owner, self.call, self.handle = owner, owner.call, handle
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
        self.owner.check(self.call.att_tokenizer_encode(
            self.handle, data, ctypes.c_size_t(len(data)), self.ids.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int64(len(self.ids)), ctypes.byref(self.n)))
        return self.ids[:self.n.value].tolist()

    def encode_pair(self, first, second=None, most=0):
        """(ids, segments)"""
        texts = [Text(x.encode(), len(x.encode())) if x is not None else None for x in (first, second)]
        pointers = [ctypes.byref(x) if x is not None else None for x in texts]
        segments = numpy.zeros_like(self.ids)
        self.owner.check(self.call.att_tokenizer_encode_pair(
            self.handle, *pointers, ctypes.c_int64(most), self.ids.ctypes.data_as(ctypes.c_void_p),
            segments.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(len(self.ids)), ctypes.byref(self.n)))
        return self.ids[:self.n.value].tolist(), segments[:self.n.value].tolist()

    def decode(self, ids):
        ids = numpy.asarray(ids, numpy.int32)
        out, size = ctypes.create_string_buffer(64 * len(ids) + 64), ctypes.c_size_t()
        self.owner.check(self.call.att_tokenizer_decode(
            self.handle, ids.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(len(ids)), out,
            ctypes.c_size_t(len(out)), ctypes.byref(size)))
        return out.raw[:size.value].decode()

    def to_json(self):
        text = ctypes.c_void_p()
        self.owner.check(self.call.att_tokenizer_to_json(self.handle, ctypes.byref(text)))
        copy = ctypes.string_at(text)
        self.call.att_text_free(None, text)
        return copy

    def role(self, role):
        return self.call.att_tokenizer_role(self.handle, role)

    def write(self, folder):
        self.owner.check(self.call.att_tokenizer_write(self.handle, str(folder).encode()))


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


class Batch(ctypes.Structure):
    _fields_ = [(name, View) for name in ("source", "lengths", "segments", "target_in", "target_out")]


class Loss(ctypes.Structure):
    _fields_ = [("sum", ctypes.c_double), ("count", ctypes.c_int64), ("correct", ctypes.c_int64)]


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

    def gradients(self, source=None, lengths=None, segments=None, target_in=None, target_out=None):
        """{name: gradient of the sum of the losses} of a copy of the model that keeps gradients."""
        call = self.call
        original, copy, tape = ctypes.c_void_p(call.att_model_transformer(self.handle)), ctypes.c_void_p(), ctypes.c_void_p()
        config = ctypes.c_void_p(call.att_transformer_configuration(original))
        self.check(call.att_transformer_create(config, ctypes.c_uint64(1), 1, None, ctypes.byref(copy)))
        params = ctypes.c_void_p(call.att_transformer_params(copy))
        places = self.places(params, call.att_parameter_value)
        for name, v in self.places(ctypes.c_void_p(call.att_transformer_params(original)), call.att_parameter_value).items():
            ctypes.memmove(places[name].data, v.data, 4 * int(numpy.prod(v.dim[:v.ndim])))
        call.att_params_changed(params)
        arrays = [None if x is None else numpy.ascontiguousarray(x, numpy.int32)
                  for x in (source, lengths, segments, target_in, target_out)]
        batch = Batch(*(View() if x is None else view(x)._obj for x in arrays))
        self.check(call.att_tape_create(None, None, ctypes.byref(tape)))
        call.att_params_zero_gradients(params)
        call.att_tape_begin(tape, 1)
        self.check(call.att_transformer_loss(tape, copy, ctypes.byref(batch), ctypes.c_double(0), ctypes.c_double(1),
                                             ctypes.c_uint64(1), ctypes.byref(Loss())))
        self.check(call.att_tape_backward(tape))
        call.att_params_settle_gradients(params)
        found = self.tensors(params, call.att_parameter_gradient)
        call.att_tape_destroy(tape)
        call.att_transformer_destroy(copy)
        return found

    def values(self):
        """{name: value}"""
        transformer = ctypes.c_void_p(self.call.att_model_transformer(self.handle))
        return self.tensors(ctypes.c_void_p(self.call.att_transformer_params(transformer)), self.call.att_parameter_value)

    def places(self, params, which):
        """{name: view}; a loaded model's values lie apart."""
        out = {}
        for i in range(self.call.att_params_count(params)):
            parameter = ctypes.c_void_p(self.call.att_params_at(params, ctypes.c_int64(i)))
            out[self.call.att_parameter_name(parameter).decode()] = View.from_address(which(parameter))
        return out

    def tensors(self, params, which):
        out = {}
        for name, v in self.places(params, which).items():
            shape = v.dim[:v.ndim]
            data = ctypes.string_at(v.data, 4 * int(numpy.prod(shape)))
            out[name] = numpy.frombuffer(data, numpy.float32).reshape(shape)
        return out
