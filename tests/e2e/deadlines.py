"""An overloaded engine with deadlines and tenants: in process, over HTTP, and simulated.

What must hold for each: the deadlines of a row count from its schedule, requests whose deadline is
out of reach are refused as late and not as shed, those without a deadline never are; the share of
deadlines kept follows from the rows. In process the scheduler's log shows what it was told.
"""
import sys

from support import Bench, check, enum_numbers, free_port, numpy, one_row_each, scenario, table

MS = 1000000
NONE = -2**63
LIMITS = "max_batch = 2\nmax_queue = 1000\nscheduler = edf\nadmit_late = no\n"
MAIN = ("rate = 200 /s\nduration = 2 s\nprompt = fixed 32\noutput = fixed 80\npriority = high\n"
        "ttft_deadline = 100 ms\ndeadline = 60 s\n")
BATCH = """
[traffic.batch]
arrival = closed
concurrency = 2
requests = 10
prompt = fixed 32
output = fixed 80
priority = low
tenant = batch
"""


def check_rows(results, what):
    rows = table(results, "requests")
    one_row_each(rows)
    status = enum_numbers(results, "requests", "status")
    main, batch = rows[rows["phase"] == 0], rows[rows["phase"] == 1]
    check(numpy.all(main["first_deadline_ns"] == main["t_sched"] + 100 * MS), what + ": first deadlines")
    check(numpy.all(main["deadline_ns"] == main["t_sched"] + 60000 * MS), what + ": deadlines")
    check(numpy.all(batch["first_deadline_ns"] == NONE) and numpy.all(batch["deadline_ns"] == NONE),
          what + ": no deadlines where none were given")
    late, ok = main["status"] == status["late"], main["status"] == status["ok"]
    check(numpy.all(late | ok), what + ": each is late or answered: %r" % numpy.unique(main["status"]))
    check(late.any() and ok.any(), what + ": %d late, %d answered" % (late.sum(), ok.sum()))
    check(numpy.all(batch["status"] == status["ok"]), what + ": nobody is late without a deadline")
    check(len(numpy.unique(batch["tenant"])) == 1 and batch["tenant"][0] != main["tenant"][0],
          what + ": two tenants")
    kept = ok & (main["t_first"] <= main["first_deadline_ns"])
    summary = {(row["metric"].decode(), row["stat"].decode()): row["value"] for row in table(results, "summary")}
    for name, value in [("main.deadline.kept", kept.sum() / ok.sum()),
                        ("main.deadline.goodput", kept.sum() / len(main)),
                        ("main.rejected.ratio", late.sum() / len(main)), ("main.shed", 0.0)]:
        got = summary.get((name, "value"))
        check(got is not None and abs(got - value) < 1e-9, "%s: %s is %r, not %r" % (what, name, got, value))
    return "%s: %d late, %d answered, %d in time" % (what, late.sum(), ok.sum(), kept.sum())


def check_log(results):
    kinds = enum_numbers(results, "sched_log", "kind")
    log = table(results, "sched_log")
    arrivals = log[log["kind"] == kinds["arrive"]]
    due = arrivals[arrivals["first_deadline_ns"] != 0]
    rest = arrivals[arrivals["first_deadline_ns"] == 0]
    check(len(due) > 0 and len(rest) == 10, "%d with deadlines, %d without" % (len(due), len(rest)))
    check(numpy.all(due["priority"] == 0) and numpy.all(rest["priority"] == 2), "priorities arrive")
    check(numpy.all(due["tenant"] == 0) and numpy.all(rest["tenant"] == 1), "tenants arrive")
    check(numpy.all(due["deadline_ns"] - due["first_deadline_ns"] == 59900 * MS), "deadlines arrive")


def main():
    port = free_port()
    with Bench() as bench:
        def write(name, engine):
            return bench.write(name, scenario(engine=LIMITS + engine, traffic=MAIN, more=BATCH))

        embedded = bench.run(write("embedded.ini", "target = embedded"), "embedded")
        print(check_rows(embedded, "in process"))
        check_log(embedded)
        bench.expect(0, "replay", embedded)
        simulated = bench.run(write("sim.ini", "target = simulator\ncost = " + embedded), "sim")
        print(check_rows(simulated, "simulated"))
        check_log(simulated)
        bench.expect(0, "replay", simulated)
        served = bench.run(write("http.ini", "target = http\nurl = http://127.0.0.1:%d/v1\nspawn = ryz serve "
                                 "--model {model} --port %d {engine} --log-level error" % (port, port)), "http")
        print(check_rows(served, "over HTTP"))
    return 0


sys.exit(main())
