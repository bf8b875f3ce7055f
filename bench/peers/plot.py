#!/usr/bin/env python3
"""Time against length, for attend and its peers, from what attention.py or additive.py --lengths prints.

usage: plot.py OUT.png < LINES.jsonl                                                needs: pip install matplotlib"""
import json
import sys

import matplotlib
matplotlib.use("Agg")
from matplotlib import pyplot


def main():
    series = {}
    for text in sys.stdin:
        line = json.loads(text)
        words = line["bench"].split()
        length = int(words[words.index("--shape") + 1].split(",")[-2])  # ..., Tk, D
        what = "forward + backward" if "--backward" in words else "forward"
        for key, ms in line.items():
            if key.endswith("_ms"):
                series.setdefault((what, key[:-3]), []).append((length, ms))
    figure, axes = pyplot.subplots(figsize=(7, 4.5), dpi=110)
    colors = {name: f"C{n}" for n, name in enumerate(sorted({name for _, name in series}))}
    for (what, name), points in series.items():
        axes.loglog(*zip(*sorted(points)), color=colors[name], marker="o", markersize=4,
                    linestyle="--" if "backward" in what else "-", label=f"{name}, {what}")
    axes.set_xlabel("queries = keys")
    axes.set_ylabel("milliseconds")
    axes.grid(True, which="both", alpha=0.25)
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(sys.argv[1])


if __name__ == "__main__":
    main()
