"""The same scenario live and simulated, with step costs fitted to the live run.

Traffic must be the same to the token; how near the simulated times come is a question for a quiet
machine, not for a test.
"""
import sys

from support import Bench, check, numpy, one_row_each, scenario, table


def main():
    with Bench() as bench:
        path = bench.write("twin.ini", scenario(
            engine="target = embedded\nmax_batch = 4\nkv = 16 MiB",
            traffic="rate = 20 /s\nduration = 3 s\nprompt = uniform 4..96\noutput = uniform 4..24"))
        live_file = bench.run(path, "live")
        sim_file = bench.run(path, "sim", "--target", "simulator", "--cost", live_file)
        live, sim = table(live_file, "requests"), table(sim_file, "requests")
        one_row_each(live)
        one_row_each(sim)
        check(len(live) == len(sim), "as many requests simulated as live")
        for column in ["id", "t_sched", "in_tok", "want_tok", "prompt_hash"]:
            check(numpy.array_equal(live[column], sim[column]), "same %s live and simulated" % column)
        check(numpy.all(sim["status"] == 0), "every simulated request is ok")
        check(numpy.all(live["status"] == 0), "every live request is ok")
        check(numpy.array_equal(sim["out_tok"], sim["want_tok"]), "simulated outputs have the length asked for")
        check(numpy.array_equal(sim["out_tok"], live["out_tok"]), "as many tokens simulated as live")
        check(numpy.all(sim["t_done"] >= sim["t_first"]) and numpy.all(sim["t_first"] > sim["t_sched"]),
              "simulated times are in order")
        for name, rows in [("live", live), ("simulated", sim)]:
            needed = rows["in_tok"] - rows["cached_tok"] + rows["out_tok"] - 1
            check(numpy.array_equal(rows["computed_tok"], needed + rows["recomputed_tok"]),
                  "what the %s requests have cost" % name)
        check(len(table(sim_file, "engine")) > 0, "the simulator recorded its steps")
        facts = {row["metric"].decode(): row["value"] for row in table(sim_file, "facts")}
        steps = table(live_file, "engine")
        for name in ["cost.error.p50", "cost.error.p90", "cost.bias", "cost.samples"]:
            check(name in facts and numpy.isfinite(facts[name]), "the fact %s: %r" % (name, facts))
        check(0 < facts["cost.error.p50"] <= facts["cost.error.p90"], "errors of the fit: %r" % facts)
        check(0 < facts["cost.samples"] <= len(steps), "%r of %d live steps are fitted to"
              % (facts["cost.samples"], len(steps)))
        bench.expect(0, "replay", sim_file)
        text = bench.expect(0, "results", "compare", live_file, sim_file)
        words = {line.split()[0] for line in text.splitlines() if line.split()}
        check(any(w.startswith("ttft") for w in words), "compare has ttft rows:\n" + text)
        check(any(w.startswith("e2e") for w in words), "compare has e2e rows:\n" + text)
        print("%d requests live and simulated; error of the fit: median %.0f %%, p90 %.0f %%"
              % (len(live), 100 * facts["cost.error.p50"], 100 * facts["cost.error.p90"]))
    return 0


sys.exit(main())
