"""Trained models from their files."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import Any, Callable, Sequence

import numpy as np

from . import _core
from ._arrays import Array, Arrays
from ._network import Look, Network
from ._plot import Figure, plot
from ._runtime import execution


OPTIONS = ("beam", "max_length", "batch", "length_penalty", "coverage_penalty", "replace_unknown")
SAMPLING = ("max_tokens", "min_tokens", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed",
            "ignore_end", "slide")
PARTS = {"n": "noun", "v": "verb", "a": "adjective", "r": "adverb"}


@dataclass(frozen=True)
class Translation:
    """A translation and how it came about: weights (target tokens, source tokens), where target token i looked. A
    Transformer's weights of all layers and heads: encoder (layers, heads, source, source), decoder (layers, heads,
    target, target), cross (layers, heads, target, source)."""

    text: str
    score: float
    log_probability: float
    source: list[str] | None = None
    target: list[str] | None = None
    weights: Array | None = None
    encoder: Array | None = None
    decoder: Array | None = None
    cross: Array | None = None

    def plot(self, **options: Any) -> Figure:
        """The weights with the words on both axes; takes the options of attend.plot."""
        if self.weights is None:
            raise ValueError("weights: none kept; ask for them with Model.attention()")
        return plot(self.weights, self.target, self.source, **options)


@dataclass(frozen=True)
class Entry:
    """What a model of a dictionary says of a word; known: the word exists."""

    word: str
    part_of_speech: str
    definition: str
    example: str
    known: bool


class Model:
    """A model file (best.att, last.att, ...) ready for use: task says whether it translates ("translation"), continues
    text ("language-model"), fills in ("masked-language-model") or says which class a text is of ("classification").

    Threads and instruction set are those set when it is loaded. A model may be used from several threads; its calls run
    one after the other. FileNotFoundError, OSError or ValueError say what is wrong with a file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self.task = _core.model_task(self.path)
        self._execution = execution()
        self._lock = threading.Lock()
        self._network: Network | None = None
        self._loaded: Any = None
        if self.task == "classification":
            self._network = Network(self.path, self._execution)
        else:
            load = _core.translator_load if self.task == "translation" else _core.language_load
            self._loaded = load(self.path, *self._execution)

    @property
    def attends(self) -> bool:
        """Whether the model has weights to see."""
        return self.task != "translation" or _core.translator_attends(self._loaded)

    def translate(self, lines: str | Sequence[str], *, n_best: int | None = None,
                  progress: Callable[[int], Any] | None = None, **options: Any) -> Any:
        """Translations of lines; one string for one string, a list for a list.

        Options, each of which the model file has a default for: beam (hypotheses kept at each step; 1: greedy),
        max_length (tokens; 0: twice the source and 10), batch (sentences at once), length_penalty, coverage_penalty,
        replace_unknown. With n_best, lists of so many translations each, the best first. progress is called with the
        number of finished lines."""
        found = self._search(lines, 1 if n_best is None else n_best, options, progress)
        texts = [[t.text for t in of_line] if n_best is not None else of_line[0].text for of_line in found]
        return texts[0] if isinstance(lines, str) else texts

    def generate(self, prompts: str | Sequence[str] = "", *, stream: Callable[[str], Any] | None = None,
                 **options: Any) -> Any:
        """What a language model writes behind a prompt, without it; one string for one string, a list for a list.

        Options: max_tokens (0: as many as the context holds), min_tokens, temperature (1; 0: always the likeliest
        token), top_k, top_p, min_p, repetition_penalty, seed (prompt i of a list has seed + i), ignore_end, slide (go on
        when the context is full). stream is called with each piece of text as soon as it is made."""
        texts = _strings(prompts, "prompts")
        _known(options, SAMPLING, "generation")
        self._needs("language-model", "continues text")
        seed = int(options.get("seed", 0))
        with self._lock:
            made = [_core.generate(self._loaded, text, {**options, "seed": seed + i}, stream)[0]
                    for i, text in enumerate(texts)]
        return made[0] if isinstance(prompts, str) else made

    def invent(self, n: int = 1, *, word: str | None = None, keep_known: bool = False, **options: Any) -> list[Entry]:
        """n entries of a dictionary model, with the seeds seed, seed + 1, ...: words that do not exist (keep_known: or
        do), or n definitions of `word`. Further options as generate()'s, but for lengths."""
        _known(options, SAMPLING, "generation")
        self._needs("language-model", "invents words")
        seed = int(options.get("seed", 0))
        wanted: dict[str, Any] = {"keep_known": int(keep_known)}
        if word is not None:
            wanted["word"] = word
        with self._lock:
            found = [_core.invent(self._loaded, {**options, "seed": seed + i}, wanted) for i in range(n)]
        return [Entry(text, PARTS[part], meaning, example, bool(known)) for text, part, meaning, example, known in found]

    def encode(self, text: str, *, target: bool = False) -> list[int]:
        """The text's token numbers, without those that begin and end it; target: in the language translated into."""
        return self.network.encode(text, target)

    def decode(self, ids: Sequence[int], *, target: bool = False) -> str:
        """The text of token numbers."""
        return self.network.decode(ids, target)

    def logits(self, ids: Arrays, target: Arrays | None = None, *, lengths: Arrays | None = None,
               segments: Arrays | None = None) -> Array:
        """Scores of the next token (decoder), of the token at each position (encoder), or of the next token of `target`
        given `ids` (encoder and decoder). ids (B, T) or (T), target (B, Tt) or (Tt), integers; lengths (B): how many of
        each row count; segments (B, T). Gives float32 (B, T, V), (B, Tt, V), or without B where ids have none."""
        with self._lock:
            return self.network.logits(ids, target, lengths, segments)

    def embed(self, lines: str | Sequence[str]) -> Array:
        """What lines mean, of models with an encoder: unit vectors, float32 (n, C), or (C,) for one string."""
        texts = _strings(lines, "lines")
        with self._lock:
            found = self.network.embed(texts)
        return found[0] if isinstance(lines, str) else found

    def classify(self, lines: str | Sequence[str]) -> Any:
        """Which class lines are of: for each a dictionary of all classes, the likeliest first, with their
        probabilities; one for a string, a list for a list."""
        self._needs("classification", "classifies")
        with self._lock:
            classes, found = self.network.classify(_strings(lines, "lines"))
        orders = np.argsort(-found, axis=1, kind="stable")
        results = [{classes[i]: float(row[i]) for i in order} for row, order in zip(found, orders)]
        return results[0] if isinstance(lines, str) else results

    @property
    def network(self) -> Network:
        """The Transformer by itself; ValueError for a recurrent model."""
        if self._network is None:
            self._network = Network(self.path, self._execution)
        return self._network

    def attention(self, lines: str | Sequence[str], *, n_best: int | None = None,
                  progress: Callable[[int], Any] | None = None, **options: Any) -> Any:
        """Where the model looks, one result for one string, a list for a list. Of a translator, as translate(), a
        Translation: tokens, scores, and the weights between them; of another Transformer, which takes no options, a
        Look: the line's tokens and the weights of every layer and head."""
        if self.task != "translation":
            _known(options, (), "a look")
            with self._lock:
                looks = [self.network.look(text) for text in _strings(lines, "lines")]
            return looks[0] if isinstance(lines, str) else looks
        found = self._search(lines, 1 if n_best is None else n_best, {**options, "with_attention": True}, progress)
        results = [of_line if n_best is not None else of_line[0] for of_line in found]
        return results[0] if isinstance(lines, str) else results

    def __repr__(self) -> str:
        return f"attend.Model({self.path!r})"

    def _needs(self, task: str, does: str) -> None:
        if self.task != task:
            raise ValueError(f"{self.path}: its task is {self.task}, expected {task}: only such a model {does}")

    def _search(self, lines: str | Sequence[str], n_best: int, options: dict[str, Any],
                progress: Callable[[int], Any] | None) -> list[list[Translation]]:
        texts = _strings(lines, "lines")
        self._needs("translation", "translates")
        _known(options, (*OPTIONS, "with_attention"), "translation")
        if n_best < 1:
            raise ValueError(f"n_best: {n_best}, expected at least 1")
        with self._lock:
            found = _core.translate(self._loaded, texts, {**options, "n_best": n_best}, progress)
        made = [_translation(*t) for t in found]
        return [made[i : i + n_best] for i in range(0, len(made), n_best)]


def _strings(lines: str | Sequence[str], name: str) -> list[str]:
    texts = [lines] if isinstance(lines, str) else list(lines)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"{name}[{i}]: {type(text).__name__}, expected str")
    return texts


def _known(options: dict[str, Any], names: Sequence[str], what: str) -> None:
    unknown = sorted(set(options) - set(names))
    if unknown:
        public = ", ".join(name for name in names if name != "with_attention")
        raise TypeError(f"{unknown[0]!r} is no option of {what}, expected {f'one of {public}' if names else 'none'}")


def _translation(text: str, score: float, log_probability: float, source: list[str] | None = None,
                 target: list[str] | None = None, weights: bytes | None = None, heads: int = 0,
                 *stacks: bytes | None) -> Translation:
    if source is None or target is None:
        return Translation(text, score, log_probability)
    rows, columns = len(target), len(source)
    sizes = [(columns, columns), (rows, rows), (rows, columns)]
    return Translation(text, score, log_probability, source, target, _array(weights, rows, columns),
                       *(_array(stack, -1, heads, *size) for stack, size in zip(stacks, sizes)))


def _array(content: bytes | None, *shape: int) -> Array | None:
    return None if content is None else np.frombuffer(content, np.float32).reshape(shape).copy()
