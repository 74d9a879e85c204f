"""One seed, one run: the same schedule, prompts and outputs, whatever the threads and batch sizes.

Outputs are greedy, so a request's text may depend neither on who shared its step nor on how the
forward pass was divided.
"""
import sys

from support import Bench, check, numpy, one_row_each, scenario, table

VARIANTS = [
    ("again", []),
    ("one_thread", ["--set", "engine.threads=1"]),
    ("two_threads", ["--set", "engine.threads=2"]),
    ("batch_2", ["--set", "engine.max_batch=2"]),
    ("batch_8", ["--set", "engine.max_batch=8"]),
]


def text(seed):
    return scenario(engine="target = embedded\nmax_batch = 4\nkv = 16 MiB", seed=seed,
                    traffic="rate = 40 /s\nduration = 1500 ms\nprompt = uniform 4..48\n"
                            "output = uniform 4..24")


def compare(name, first, other):
    check(len(first) == len(other), "%s: as many requests" % name)
    for column in ["id", "t_sched", "in_tok", "want_tok", "prompt_hash"]:
        check(numpy.array_equal(first[column], other[column]), "%s: same %s" % (name, column))
    both = (first["status"] == 0) & (other["status"] == 0)
    check(both.sum() > 0, "%s: some requests are ok in both" % name)
    differing = first["id"][both & (first["output_hash"] != other["output_hash"])]
    check(len(differing) == 0, "%s: outputs differ for requests %r" % (name, differing))
    return int(both.sum())


def main():
    with Bench() as bench:
        path = bench.write("same.ini", text(seed=7))
        first = table(bench.run(path, "first"), "requests")
        one_row_each(first)
        check(len(numpy.unique(first["prompt_hash"])) > 1, "prompts differ from each other")
        check(len(numpy.unique(first["output_hash"])) > 1, "outputs differ from each other")
        for name, options in VARIANTS:
            other = table(bench.run(path, name, *options), "requests")
            print("%s: %d of %d requests compared" % (name, compare(name, first, other), len(first)))
        other = table(bench.run(bench.write("seed.ini", text(seed=8)), "seed"), "requests")
        check(not numpy.array_equal(first["t_sched"], other["t_sched"]), "another seed, another schedule")
    return 0


sys.exit(main())
