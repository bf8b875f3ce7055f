"""What counts as an array, and what is read in place."""

import array
import ctypes
import pathlib
import re
import threading
import time
import tracemalloc

import attend
import numpy as np
import pytest
from attend import _core

ROOT = pathlib.Path(__file__).resolve().parents[3]


class OnlyDLPack:
    """A tensor of another library."""

    def __init__(self, x):
        self.x = x

    def __dlpack__(self, **keywords):
        return self.x.__dlpack__(**keywords)

    def __dlpack_device__(self):
        return self.x.__dlpack_device__()


def kinds(x):
    yield "DLPack", OnlyDLPack(x)
    yield "memoryview", memoryview(x)
    yield "list", x.tolist()
    yield "Fortran order", np.asfortranarray(x)
    yield "reversed twice", np.ascontiguousarray(x[::-1])[::-1]
    yield "every second", np.repeat(x, 2, axis=1)[:, ::2]
    yield "big endian", x.astype(x.dtype.newbyteorder(">"))
    yield "read only", np.broadcast_to(x, x.shape)
    unaligned = np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape)
    assert not unaligned.flags.aligned
    yield "unaligned", unaligned


def test_every_kind_of_array_means_the_same():
    x = np.random.default_rng(1).normal(size=(5, 6))
    wanted = attend.attention(x, x, causal=True)
    for name, kind in kinds(x):
        np.testing.assert_array_equal(attend.attention(kind, kind, causal=True), wanted, err_msg=name)
        gradient = attend.attention_grad(kind, kind, kind)["query"]
        np.testing.assert_array_equal(gradient, attend.attention_grad(x, x, x)["query"], err_msg=name)


def test_buffer_of_another_type():
    x = np.random.default_rng(1).normal(size=6)
    cast = memoryview(array.array("d", x.tobytes())).cast("B").cast("d", [2, 3])
    np.testing.assert_array_equal(attend.attention(cast, cast), attend.attention(x.reshape(2, 3), x.reshape(2, 3)))
    raw = (ctypes.c_double * 3 * 2).from_buffer_copy(x.tobytes())
    np.testing.assert_array_equal(attend.attention(memoryview(raw), memoryview(raw)), attend.attention(cast, cast))


def test_lists_take_the_type_of_the_query():
    x = np.ones((3, 4), np.float32)
    assert attend.attention(x, x, bias=[0.5, 0.25, 1]).dtype == np.float32
    assert attend.attention([[1.0, 2.0]], [[3.0, 4.0]]).dtype == np.float64


@pytest.mark.parametrize("layout", ["dense", "heads inside", "broadcast"])
def test_read_in_place(layout):
    """(B,T,H,D) in memory, seen as (B,H,T,D), or a batch of one broadcast: nothing as large as the input is allocated."""
    x = np.random.default_rng(1).normal(size=(2, 64, 8, 256)).astype(np.float32)
    query = np.ascontiguousarray(x.transpose(0, 2, 1, 3)) if layout == "dense" else x.transpose(0, 2, 1, 3)
    if layout == "broadcast":
        query = np.broadcast_to(query[:1], query.shape)
    one = query[:, :, :1, :4]
    attend.attention(one, one)
    tracemalloc.start()
    output = attend.attention(query[..., :1, :], query, query)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert output.nbytes + 10_000 < query.nbytes / 8 and peak < output.nbytes + 10_000


def test_inputs_stay_as_they_are():
    rng = np.random.default_rng(1)
    query, value, bias = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5, 4)), rng.normal(size=(3, 5))
    copies = [x.copy() for x in (query, value, bias)]
    attend.attention_grad(query, query, value, bias=bias, dropout=0.5)
    for x, copy in zip((query, value, bias), copies):
        np.testing.assert_array_equal(x, copy)


def test_other_threads_run_meanwhile():
    x = np.random.default_rng(1).normal(size=(1, 4, 1500, 64))  # float64: the reference, slow on purpose
    ticks, done = [], threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    start = time.perf_counter()
    attend.attention(x, x)
    end = time.perf_counter()
    done.set()
    thread.join()
    during = [t for t in ticks if start < t < end]
    assert len(during) > 5 and max(np.diff(during)) < (end - start) / 2


def test_calls_from_many_threads_do_not_mix():
    rng = np.random.default_rng(1)
    inputs = [rng.normal(size=(40, 16)).astype(np.float32) for _ in range(8)]
    wanted = [attend.attention(x, x) for x in inputs]
    wrong = []

    def work(i):
        for _ in range(50):
            try:
                attend.attention(inputs[i], inputs[i][:, : i + 1])
                if i + 1 != 16:
                    wrong.append("accepted")
            except ValueError as reason:
                if f"key: {i + 1} wide" not in str(reason):
                    wrong.append(str(reason))
            if not np.array_equal(attend.attention(inputs[i], inputs[i]), wanted[i]):
                wrong.append("other bits")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def fields_of(header, struct):
    """The fields of a struct as the header declares them."""
    text = re.sub(r"/\*.*?\*/", "", (ROOT / "include" / "attend" / header).read_text(), flags=re.S)
    body = re.search(r"typedef struct %s \{(.*?)\} %s;" % (struct, struct), text, re.S).group(1)
    return [name for line in body.split(";") for name in re.findall(r"(\w+)\s*(?:,|$)", line.strip())]


@pytest.mark.parametrize("part", ["desc", "in", "out", "grad"])
def test_every_field_of_the_headers_is_reachable(part):
    """The fields of att_mechanism_*, those of the att_attention_* that is its core among them."""
    outer = [name for name in fields_of("mechanism.h", f"att_mechanism_{part}") if name != "core"]
    inner = [name for name in fields_of("attention.h", f"att_attention_{part}") if name != "function"]
    assert sorted(outer + inner) == sorted(_core.attention_fields()[f"att_mechanism_{part}"])


def test_unknown_field():
    with pytest.raises(TypeError, match="no field 'nonsense'"):
        _core.attention_path({"nonsense": 1}, {}, None, None, 1, 0)
