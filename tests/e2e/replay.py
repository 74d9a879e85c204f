"""A recorded run's decisions can be replayed, faults and all; a changed record is found out."""
import shutil
import sys

from support import Bench, check, enum_name, h5py, numpy, one_row_each, scenario, table

FAULTS = """
[fault.memory]
at = 200 ms
for = 1 s
where = kv.alloc
do = fail 40 %
[fault.passes]
at = 600 ms
for = 1 s
where = engine.step
do = error 10 %
[fault.leavers]
at = 100 ms
for = 2 s
where = client
do = disconnect 40 %
"""


def alter(path, copy, row, column, change):
    shutil.copyfile(path, copy)
    with h5py.File(copy, "r+") as file:
        log = file["run0000/sched_log"]
        rows = log[:]
        rows[column][row] = change(rows[column][row])
        log[:] = rows
    return copy


def main():
    with Bench() as bench:
        path = bench.write("faulty.ini", scenario(
            engine="target = embedded\nmax_batch = 4\nkv = 16 MiB",
            traffic="rate = 40 /s\nduration = 2 s\nprompt = uniform 4..64\noutput = uniform 8..32",
            more=FAULTS))
        results = bench.run(path, "out")
        rows = table(results, "requests")
        one_row_each(rows)
        ends = {enum_name(results, "requests", "status", int(s)) for s in rows["status"]}
        check("cancelled" in ends and len(ends) > 2, "faults show in how requests ended: %r" % ends)
        text = bench.expect(0, "replay", results)
        check("equal" in text, "replay says that the digests are equal:\n" + text)

        log = table(results, "sched_log")
        arrivals = numpy.flatnonzero(log["prompt_tokens"] > 0)
        check(len(arrivals) > 0, "the log holds arrivals")
        row = arrivals[len(arrivals) // 2]
        for column, change in [("prompt_tokens", lambda n: n + 40), ("request_id", lambda n: n + 1000)]:
            copy = alter(results, bench.path(column + ".h5"), row, column, change)
            code, text = bench.call("replay", copy)
            check(code in (1, 4), "an altered %s is found out, exit %d:\n%s" % (column, code, text))
            print("altered %s: exit %d" % (column, code))

        # With parts of the KV pool and a pool that is too small, too.
        shares = bench.write("shares.ini", scenario(
            engine="target = embedded\nmax_batch = 8\nkv = 1 MiB\nscheduler = tiered\n"
                   "kv_partitions = main@30%",
            traffic="rate = 200 /s\nduration = 1 s\nprompt = uniform 4..64\noutput = uniform 16..64\n"
                    "tenant = main",
            more="[traffic.noise]\narrival = poisson\nrate = 400 /s\nduration = 1 s\n"
                 "prompt = uniform 4..64\noutput = uniform 16..64\n"))
        results = bench.run(shares, "shares")
        steps = table(results, "engine")
        check(steps["preempt"][-1] > 0, "somebody was preempted")
        check((steps["kv_lent"] > 0).any(), "the guarantee was lent")
        check((steps["kv_empty"] <= steps["kv_slots"]).all(), "no more room is empty than there is")
        text = bench.expect(0, "replay", results)
        check("equal" in text, "replay knows the parts of the KV pool:\n" + text)
    return 0


sys.exit(main())
