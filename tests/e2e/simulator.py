"""The same scenario live and simulated, with step costs fitted to the live run."""
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
        for column in ["t_sched", "in_tok", "want_tok"]:
            check(numpy.array_equal(live[column], sim[column]), "same %s live and simulated" % column)
        check(numpy.all(sim["status"] == 0), "every simulated request is ok")
        check(numpy.array_equal(sim["out_tok"], sim["want_tok"]), "simulated outputs have the length asked for")
        check(numpy.all(sim["t_done"] >= sim["t_first"]) and numpy.all(sim["t_first"] > sim["t_sched"]),
              "simulated times are in order")
        check(len(table(sim_file, "engine")) > 0, "the simulator recorded its steps")
        text = bench.expect(0, "results", "compare", live_file, sim_file)
        words = {line.split()[0] for line in text.splitlines() if line.split()}
        check(any(w.startswith("ttft") for w in words), "compare has ttft rows:\n" + text)
        check(any(w.startswith("e2e") for w in words), "compare has e2e rows:\n" + text)
        print("%d requests live and simulated" % len(live))
    return 0


sys.exit(main())
