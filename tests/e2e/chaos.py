"""Chaos over HTTP: a spawned server is slowed, left by its clients, killed and started again.

What must hold: a row for every request, steps as long as the injected delay inside its window and
shorter ones outside, spans of client and server under one trace id, events of every fault and of
the server's fall and return, failures only around the kill, and no process left behind.
"""
import sys

from support import (Bench, check, enum_name, enum_numbers, free_port, one_row_each, processes_with,
                     scenario, table, wait_until)

MS = 1000000
DELAY = 40 * MS
SLOW = (300 * MS, 1300 * MS)
KILL = 3000 * MS
FAULTS = """
[fault.slow]
at = 300 ms
for = 1 s
where = engine.step
do = delay 40 ms
[fault.leavers]
at = 1 s
for = 1500 ms
where = client
do = disconnect 60 %
[fault.kill]
at = 3 s
where = server
do = kill
"""


def check_events(path):
    """When the killed server went and when it answered again."""
    events, kinds = table(path, "events"), enum_numbers(path, "events", "kind")

    def times(kind, note=None):
        chosen = events["kind"] == kinds[kind]
        if note is not None:
            chosen &= events["note"] == note
        return events["t_ns"][chosen]

    for fault, start in [(b"slow", SLOW[0]), (b"leavers", 1000 * MS), (b"kill", KILL)]:
        on, off = times("fault_on", fault), times("fault_off", fault)
        check(len(on) == 1 and len(off) == 1, "one fault_on and one fault_off of %r" % fault)
        check(start <= on[0] <= off[0], "%r begins no earlier than planned, and ends after that" % fault)
    down, up = times("server_down"), times("server_up")
    check(len(down) == 1 and len(up) == 1, "one server_down and one server_up")
    check(KILL <= down[0] < up[0], "the server comes back after it went")
    return down[0], up[0]


def check_steps(path):
    """The plan reached the engine inside the server, for as long as it says."""
    steps = table(path, "engine")
    check(len(steps) > 0, "the server's engine steps were fetched")
    check(steps["run_count"].max() == 3, "the server got max_batch from the scenario")
    begin, end = steps["t_ns"], steps["t_ns"] + steps["duration_ns"]
    # A step that begins shortly before the end of the window may miss the fault.
    inside = steps["duration_ns"][(begin >= SLOW[0]) & (begin < SLOW[1] - DELAY)]
    outside = steps["duration_ns"][(end < SLOW[0]) | (begin > SLOW[1])]
    check(len(inside) > 0 and len(outside) > 0, "steps inside and outside the window of the delay")
    check(inside.min() >= DELAY, "a step of %d ns although each is delayed by %d" % (inside.min(), DELAY))
    # The quickest steps of both are alike but for the delay, however slow this build is.
    check(outside.min() + DELAY // 2 < inside.min(), "steps outside the window are not delayed: %d, %d ns"
          % (outside.min(), inside.min()))
    return len(inside), len(outside)


def check_spans(path, rows, back):
    spans, names = table(path, "spans"), enum_numbers(path, "spans", "name")

    def traces(name):
        return {bytes(t) for t in spans["trace_id"][spans["name"] == names[name]]} - {bytes(16)}

    client, server = traces("client.request"), traces("server.request")
    check(len(server) > 0, "the server's spans were fetched")
    check(len(client & server) > 0, "spans of client and server share trace ids")
    # Requests answered after the return: a kill may take older spans of the server with it.
    late = (rows["t_send"] > back) & (rows["status"] == 0)
    check(late.sum() > 0, "some requests are ok after the kill")
    served = {bytes(t) for t in rows["trace_id"][late]}
    check(served <= client and served <= server, "%d of %d late requests have spans of both sides"
          % (len(served & client & server), len(served)))
    # The server counts requests in its own way, and the probe that awaited it has no row.
    request = {bytes(row["trace_id"]): row["id"] for row in rows}
    for span in spans:
        want = request.get(bytes(span["trace_id"]), 0)
        check(span["request"] == want, "a span says request %d, its trace is that of request %d"
              % (span["request"], want))


def check_ends(path, rows, down, up):
    """Requests end well, are left on purpose, or fail because of the kill; nothing else."""
    ends = [enum_name(path, "requests", "status", int(s)) for s in rows["status"]]
    check("cancelled" in ends, "some clients left: %r" % ends)
    for row, end in zip(rows, ends):
        if end == "cancelled":
            check(row["t_send"] >= 0 and row["t_done"] >= 1000 * MS, "a client left before the storm")
        elif end != "ok":
            check(row["t_done"] >= KILL and row["t_send"] <= up,
                  "request %d ended as %s from %d to %d ns, the server was away from %d to %d"
                  % (row["id"], end, row["t_send"], row["t_done"], down, up))
    return {end: ends.count(end) for end in sorted(set(ends))}


def main():
    port = free_port()
    with Bench() as bench:
        path = bench.write("chaos.ini", scenario(
            engine="target = http\nurl = http://127.0.0.1:%d/v1\n"
                   "max_batch = 3\nspawn = ryz serve --model {model} --port %d --control {control} {engine}"
                   " --log-level warn"
                   % (port, port),
            traffic="rate = 20 /s\nduration = 6 s\nprompt = uniform 4..32\noutput = uniform 8..32\n"
                    "timeout = 60 s",
            more=FAULTS, targets="errors = <= 90 %\ntrace.coverage = == 100 %"))
        results = bench.run(path, "out")
        rows = table(results, "requests")
        one_row_each(rows)
        down, up = check_events(results)
        ends = check_ends(results, rows, down, up)
        inside, outside = check_steps(results)
        check_spans(results, rows, up)
        wait_until(lambda: not processes_with("--port %d" % port), "the server to be gone")
        print("%d requests: %s; %d steps delayed, %d not" % (len(rows), ends, inside, outside))
    return 0


sys.exit(main())
