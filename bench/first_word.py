#!/usr/bin/env python3
"""From the start of the process to the first bytes of a translation, by the wall clock, files in the page cache.

usage: first_word.py MODEL ATTEND [ATTEND ...] [-- options of attend translate]
Runs of several builds take turns. Prints milliseconds of each: median, best, worst."""
import statistics
import subprocess
import sys
import time

RUNS, LINE = 15, b"Tom come una manzana.\n"


def first_word(command):
    began = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdin.write(LINE)
        process.stdin.close()
        found = process.stdout.read(1)
        passed = time.perf_counter() - began
        process.stdout.read()
    if not found or process.returncode:
        sys.exit(f"{' '.join(command)}: no translation")
    return 1e3 * passed


def main():
    arguments = sys.argv[1:]
    if len(arguments) < 2:
        sys.exit(__doc__)
    options = ["--beam", "1"]
    if "--" in arguments:
        at = arguments.index("--")
        arguments, options = arguments[:at], arguments[at + 1:]
    model, *builds = arguments
    times = {build: [] for build in builds}
    for _ in range(RUNS + 1):
        for build in builds:
            times[build].append(first_word([build, "translate", model, *options]))
    for build, each in times.items():
        each = each[1:]  # the first reads the files
        print(f"{build}: median {statistics.median(each):.1f}, best {min(each):.1f}, worst {max(each):.1f} ms")


if __name__ == "__main__":
    main()
