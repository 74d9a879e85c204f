"""Conversations find what was said before: as much as a cache without an end would, and no other's
words; the requests' own figures add up to the one that is judged, and the run can be replayed. In a
pool that is too small they find it in host memory."""
import os
import sys

from support import ROOT, Bench, check, enum_name, table

ROW = os.path.join(ROOT, "scenarios/dod/P4.ini")
SHORT = ["--set", "traffic.main.window=0 s .. 12 s", "--set", "traffic.main.scale_tokens=0.0625",
         "--set", "targets.yes.ttft.mean=<= 10 x of no.ttft.mean"]


TIER = os.path.join(ROOT, "scenarios/host_tier.ini")
SHORT_TIER = SHORT[:4] + ["--set", "engine.kv=3 MiB", "--set", "engine.max_batch=1",
                          "--set", "targets.256MiB.ttft.mean=<= 1000 x of none.ttft.mean",
                          "--set", "targets.none.cache.hit=< 1 x of 256MiB.cache.hit",
                          "--set", "targets.256MiB.cache.host_hit=> 0 %"]


def host_tier(bench):
    """With and without host memory behind a pool of three MiB."""
    out = bench.path("tier")
    bench.expect(0, "run", TIER, *SHORT_TIER, "--set", "output.dir=" + out)
    results = [os.path.join(out, name) for name in os.listdir(out) if name.endswith(".h5")]
    found = {}
    for run in ["run0000", "run0001"]:
        rows, steps = table(results[0], "requests", run), table(results[0], "engine", run)
        last = steps[-1]
        check((rows["host_tok"] <= rows["cached_tok"]).all(), "what the host had was found")
        check((rows["host_tok"].sum() > 0) == (last["host_in"] > 0), "and copied in")
        check(last["host_out"] >= last["host_in"], "what came in had gone out")
        share = rows["cached_tok"].sum() / rows["in_tok"].sum()
        found[bool(last["host_in"] > 0)] = share
        facts = {row["metric"].decode(): row["value"] for row in table(results[0], "facts", run)}
        check(facts["cache.lru"] <= facts["cache.bound"], "no cache finds more than an endless one")
        # One request after the other, so the pool is an LRU cache of as many blocks.
        if last["host_in"] == 0:
            check(abs(share - facts["cache.lru"]) < 1e-9, "%r found, not %r" % (share, facts))
    check(len(found) == 2 and found[True] > found[False], "the tier finds more: %r" % found)
    bench.expect(0, "replay", results[0])
    print("%.1f %% found with host memory, %.1f %% without" % (100 * found[True], 100 * found[False]))


def main():
    with Bench() as bench:
        out = bench.path("out")
        bench.expect(0, "run", ROW, *SHORT, "--set", "output.dir=" + out)
        results = [os.path.join(out, name) for name in os.listdir(out) if name.endswith(".h5")]
        check(len(results) == 1, "one results file: %r" % results)
        shares = {}
        for run in ["run0000", "run0001"]:
            rows = table(results[0], "requests", run)
            check(len(rows) > 10, "%d requests" % len(rows))
            check({enum_name(results[0], "requests", "status", int(s)) for s in rows["status"]} == {"ok"},
                  "every request is answered")
            check((rows["cached_tok"] % 16 == 0).all() and (rows["cached_tok"] < rows["in_tok"]).all(),
                  "whole blocks, and never the last token")
            shares[run] = rows["cached_tok"].sum() / rows["in_tok"].sum()
        found = max(shares.values())
        check(min(shares.values()) == 0 and found > 0.4, "one point has a cache, one has none: %r" % shares)
        bench.expect(0, "replay", results[0])
        print("%.1f %% of the prompt tokens found" % (100 * found))
        host_tier(bench)
    return 0


sys.exit(main())
