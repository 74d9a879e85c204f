#!/usr/bin/env python3
"""Makes scenarios/data/ryz_conv.csv: a synthetic conversation trace in Azure's CSV format.

No row is taken from anywhere: gaps and lengths are drawn from distributions that were fitted to the
published Azure LLM inference trace 2023 (conversation), known here only by the figures below.

  gaps     Weibull, whose shape gives the coefficient of variation, under a slow swing of the rate
  lengths  inverse of a distribution function through a few quantiles, straight in the logarithm
  both     drawn stratified (every n-th part of the distribution once), so that a short trace has
           the tails it should have; a Gaussian copula gives prompt and output their rank
           correlation

  tools/make_trace.py > scenarios/data/ryz_conv.csv
  tools/make_trace.py --check FILE...      prints the statistics of traces side by side
"""

import argparse
import csv
import datetime
import math
import random
import statistics
import sys

SEED = 20231116
ROWS = 2000
RATE_PER_S = 5.53
GAP_SHAPE = 0.917  # Weibull: CV 1.09
SWING = 0.12  # of the rate, up and down, over minutes
RANK_CORRELATION = 0.07
# Quantiles (share, tokens): few enough to describe a distribution, too few to copy one.
PROMPT = [(0, 2), (0.01, 29), (0.05, 181), (0.25, 396), (0.5, 1020), (0.75, 1189), (0.9, 2735),
          (0.95, 4083), (0.99, 4142), (1, 8000)]
OUTPUT = [(0, 7), (0.01, 16), (0.05, 41), (0.25, 85), (0.5, 129), (0.7, 384), (0.9, 424),
          (0.99, 601), (1, 1000)]
START = datetime.datetime(2025, 1, 1)
HEADER = ["TIMESTAMP", "ContextTokens", "GeneratedTokens"]


def inverse(knots, u):
    """The value at share u of the distribution through `knots`."""
    for (u0, x0), (u1, x1) in zip(knots, knots[1:]):
        if u <= u1:
            w = (u - u0) / (u1 - u0)
            return math.exp(math.log(x0) * (1 - w) + math.log(x1) * w)
    return knots[-1][1]


def strata(values):
    """Maps values to their rank's place (i + 1/2) / n: uniform, one in every n-th part."""
    order = sorted(range(len(values)), key=values.__getitem__)
    result = [0.0] * len(values)
    for rank, i in enumerate(order):
        result[i] = (rank + 0.5) / len(values)
    return result


def make_rows(rng):
    rho = RANK_CORRELATION
    z = [rng.gauss(0, 1) for _ in range(ROWS)]
    w = [rho * a + math.sqrt(1 - rho * rho) * rng.gauss(0, 1) for a in z]
    prompts = [round(inverse(PROMPT, u)) for u in strata(z)]
    outputs = [round(inverse(OUTPUT, u)) for u in strata(w)]
    gaps = [(-math.log(1 - u)) ** (1 / GAP_SHAPE) for u in strata([rng.random() for _ in z])]
    phases = [rng.uniform(0, 2 * math.pi) for _ in range(2)]
    swing = [1 + SWING * (math.sin(2 * math.pi * i / 700 + phases[0]) +
                          math.sin(2 * math.pi * i / 310 + phases[1])) for i in range(ROWS)]
    gaps = [g / s for g, s in zip(gaps, swing)]
    scale = (ROWS - 1) / RATE_PER_S / sum(gaps[1:])
    t = 0.0
    for i in range(ROWS):
        t += gaps[i] * scale if i > 0 else 0.0
        yield t, prompts[i], outputs[i]


def write_trace(out):
    out.write(",".join(HEADER) + "\r\n")
    for t, prompt, output in make_rows(random.Random(SEED)):
        whole = START + datetime.timedelta(seconds=int(t))
        fraction = int((t - int(t)) * 1e7)  # tenths of a microsecond, as Azure writes them
        out.write(f"{whole:%Y-%m-%d %H:%M:%S}.{fraction:07d},{prompt},{output}\r\n")


def read_trace(path):
    with open(path, newline="", encoding="ascii") as file:
        for row in csv.DictReader(file):
            text = row["TIMESTAMP"]
            whole = datetime.datetime.strptime(text[:19], "%Y-%m-%d %H:%M:%S")
            seconds = (whole - START).total_seconds() + float("0" + text[19:])
            yield seconds, int(row["ContextTokens"]), int(row["GeneratedTokens"])


def quantile(values, share):
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def print_statistics(path):
    rows = list(read_trace(path))
    times = [r[0] for r in rows]
    gaps = [b - a for a, b in zip(times, times[1:])]
    print(f"{path}: {len(rows)} rows in {times[-1] - times[0]:.0f} s, "
          f"{(len(rows) - 1) / (times[-1] - times[0]):.2f} /s, "
          f"gap CV {statistics.pstdev(gaps) / statistics.fmean(gaps):.2f}")
    for name, column in (("input", 1), ("output", 2)):
        values = [r[column] for r in rows]
        print(f"  {name:6} p50 {quantile(values, .5)} p90 {quantile(values, .9)} "
              f"p99 {quantile(values, .99)} mean {statistics.fmean(values):.0f} "
              f"sd {statistics.pstdev(values):.0f} max {max(values)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", nargs="+", metavar="FILE", help="print statistics of traces")
    arguments = parser.parse_args()
    if arguments.check:
        for path in arguments.check:
            print_statistics(path)
    else:
        sys.stdout.reconfigure(newline="")
        write_trace(sys.stdout)


if __name__ == "__main__":
    main()
