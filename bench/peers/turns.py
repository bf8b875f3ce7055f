"""attend bench beside other libraries, in turns (A B A B ...), so that what else runs on the machine meets both alike."""
import json
import statistics
import subprocess
import time


def median_ms(call, runs):
    """Median milliseconds of a call, over runs of at least 5 ms each; one call before them is not counted."""
    call()
    began = time.perf_counter()
    call()
    calls = max(1, int(0.005 / (time.perf_counter() - began + 1e-9)))
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        for _ in range(calls):
            call()
        times.append((time.perf_counter() - began) / calls * 1e3)
    return statistics.median(times)


def compare(attend, arguments, peers, rounds=5, runs=5, threads=2, measure=median_ms):
    """Prints and returns a line of JSON: medians of all rounds, and the ratio of each peer's time to attend's, median
    and least.
    `arguments` are those of `attend bench`, `peers` maps names to calls, which `measure` times."""
    command = [attend, "bench", *arguments, "--threads", str(threads), "--runs", str(runs), "--json"]
    ours, theirs = [], {name: [] for name in peers}
    for _ in range(rounds):
        for name, call in peers.items():
            theirs[name].append(measure(call, runs))
            time.sleep(0.3)  # its idle threads go on spinning for a while
        ours.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    ms = [result["ms"] for result in ours]
    line = {"bench": " ".join(arguments), "attend_ms": round(statistics.median(ms), 4)}
    for key in ("gflops", "gbps", "gtanh_per_s", "tokens_per_s"):
        if key in ours[0]:
            line[key] = round(statistics.median(result[key] for result in ours), 2)
    line["share"] = round(statistics.median(result["share"] for result in ours), 3)
    line["of"] = ours[0]["limit_name"]
    line["workspace_MiB"] = round(ours[0]["workspace_bytes"] / 2**20, 2)
    for name, times in theirs.items():
        line[name + "_ms"] = round(statistics.median(times), 4)
        ratios = [t / m for t, m in zip(times, ms)]
        line[name + "_ratio"], line[name + "_least"] = round(statistics.median(ratios), 2), round(min(ratios), 2)
    print(json.dumps(line), flush=True)
    return line
