"""How calls run: threads and instruction set. Never what they compute: any number of threads gives the same bits."""

from __future__ import annotations

from . import _core

_threads = _core.cpu_count()
_isa = 0
_isa_name = "best"


def set_num_threads(threads: int) -> None:
    """Let every later call use so many threads, the calling one included; the start is all processors."""
    global _threads
    if not isinstance(threads, int) or threads < 1:
        raise ValueError(f"threads: {threads!r}, expected an integer of at least 1")
    _threads = threads


def get_num_threads() -> int:
    return _threads


def set_isa(name: str) -> None:
    """Cap the instruction set: "best", "ref" (the readable reference), "portable", "avx2", "avx512",
    "avx512vnni", "avx512bf16" or "amx"."""
    global _isa, _isa_name
    _isa, _isa_name = _core.isa_parse(name), name


def get_isa() -> str:
    """The cap, or what this machine does best when there is none."""
    return _core.isa_detect() if _isa_name == "best" else _isa_name


def execution() -> tuple[int, int]:
    return _threads, _isa
