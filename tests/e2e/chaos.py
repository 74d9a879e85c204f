"""Chaos over HTTP: a spawned server is slowed, left by its clients, killed and started again.

What must hold: a row for every request, spans of client and server under one trace id, events of
the server's fall and return, service after the return, and no process left behind.
"""
import sys

from support import (Bench, check, enum_name, free_port, h5py, one_row_each, processes_with, scenario,
                     table, wait_until)

FAULTS = """
[fault.slow]
at = 300 ms
for = 800 ms
where = engine.step
do = delay 10 ms
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


def numbers_of(path, name, column):
    """{text: number} of an enum column."""
    with h5py.File(path, "r") as file:
        return h5py.check_enum_dtype(file["run0000/" + name].dtype[column])


def check_events(path):
    """Time at which the killed server answered again."""
    events, kinds = table(path, "events"), numbers_of(path, "events", "kind")
    down = events["t_ns"][events["kind"] == kinds["server_down"]]
    up = events["t_ns"][events["kind"] == kinds["server_up"]]
    check(len(down) > 0, "events hold server_down")
    check(len(up) > 0 and up.max() > down.min(), "events hold server_up after server_down")
    return up[up > down.min()].min()


def check_spans(path, rows, back):
    spans, names = table(path, "spans"), numbers_of(path, "spans", "name")

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


def main():
    port = free_port()
    with Bench() as bench:
        path = bench.write("chaos.ini", scenario(
            engine="target = http\nurl = http://127.0.0.1:%d/v1\n"
                   "spawn = ryz serve --model {model} --port %d --control {control} --log-level warn"
                   % (port, port),
            traffic="rate = 20 /s\nduration = 6 s\nprompt = uniform 4..32\noutput = uniform 8..32\n"
                    "timeout = 60 s",
            more=FAULTS, targets="errors = <= 90 %"))
        results = bench.run(path, "out")
        rows = table(results, "requests")
        one_row_each(rows)
        ends = [enum_name(results, "requests", "status", int(s)) for s in rows["status"]]
        check("cancelled" in ends, "some clients left: %r" % ends)
        check(len(table(results, "engine")) > 0, "the server's engine steps were fetched")
        check_spans(results, rows, check_events(results))
        wait_until(lambda: not processes_with("--port %d" % port), "the server to be gone")
        print("%d requests: %s" % (len(rows), {e: ends.count(e) for e in sorted(set(ends))}))
    return 0


sys.exit(main())
