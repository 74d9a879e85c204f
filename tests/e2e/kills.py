"""A server that is killed again and again under load, and a harness that ends before its server.

The harness must live through each kill with its connections in every state (the moment between
fork and exec of the next server included), account for every request, and leave no server behind,
whether it ends by SIGINT or by kill -9.
"""
import glob
import signal
import subprocess
import sys

from support import (PATIENCE, Bench, check, enum_name, enum_numbers, free_port, h5py, one_row_each,
                     processes_with, scenario, table, wait_until)

KILLS = [500, 1500, 2500, 3500]  # ms
FAULT = """
[fault.kill_%d]
at = %d ms
where = server
do = kill
"""


def server_scenario(bench, name, traffic, more=""):
    """(path of the scenario, text that only its server's command line holds)"""
    port = free_port()
    path = bench.write(name, scenario(
        engine="target = http\nurl = http://127.0.0.1:%d/v1\ncontrol = %s\n"
               "spawn = ryz serve --model {model} --port %d --control {control} --log-level error"
               % (port, bench.path("control"), port),
        traffic=traffic + "\nprompt = uniform 4..64\noutput = uniform 16..64\ntimeout = 60 s",
        more=more, targets="errors = <= 100 %"))
    return path, "--port %d --control" % port


def gone(server):
    wait_until(lambda: not processes_with(server), "the server to be gone")


def killed_again_and_again(bench):
    more = "".join(FAULT % (at, at) for at in KILLS)
    path, server = server_scenario(bench, "kills.ini", "rate = 60 /s\nduration = 5 s", more)
    results = bench.run(path, "kills")
    rows, events = table(results, "requests"), table(results, "events")
    one_row_each(rows)
    kinds = enum_numbers(results, "events", "kind")
    on, down, up = (events["t_ns"][events["kind"] == kinds[kind]]
                    for kind in ["fault_on", "server_down", "server_up"])
    check(len(on) == len(down) == len(up) == len(KILLS),
          "%d kills: %d begun, %d down, %d up" % (len(KILLS), len(on), len(down), len(up)))
    ends = [enum_name(results, "requests", "status", int(s)) for s in rows["status"]]
    check(ends.count("ok") > 0 and ends.count("ok") < len(ends), "some are ok, some are not: %r" % ends)
    served = 0
    for begin, end in zip(up, list(on[1:]) + [rows["t_done"].max() + 1]):
        # A server that is up serves: nothing that began and ended between two kills may fail.
        alive = (rows["t_send"] > begin) & (rows["t_done"] < end)
        served += alive.sum()
        bad = {ends[i] for i in range(len(rows)) if alive[i]} - {"ok"}
        check(not bad, "the server was up from %d to %d ns, and yet: %r" % (begin, end, bad))
    check(served > 0, "requests that began and ended between kills or after the last")
    gone(server)
    print("%d kills, %d requests: %s" % (len(KILLS), len(rows), {e: ends.count(e) for e in sorted(set(ends))}))


def harness_ends_first(bench, name, number):
    """What is printed and the exit code of a harness that gets a signal while its server serves."""
    path, server = server_scenario(bench, name + ".ini", "rate = 20 /s\nduration = 30 min")
    out = bench.path(name)
    process = bench.start("run", path, "--out", out, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait_until(lambda: glob.glob(out + "/.live/*.h5"), "the live file", process)
    check(len(processes_with(server)) == 1, "one server runs")
    process.send_signal(number)
    text, _ = process.communicate(timeout=PATIENCE)
    gone(server)
    return process.returncode, text


def main():
    with Bench() as bench:
        killed_again_and_again(bench)
        code, text = harness_ends_first(bench, "interrupted", signal.SIGINT)
        check(code == 3, "SIGINT: exit %d, not 3\n%s" % (code, text))
        with h5py.File(bench.results("interrupted"), "r") as file:
            check(file["complete"][()] == 0, "SIGINT: complete = 0")
        code, text = harness_ends_first(bench, "killed", signal.SIGKILL)
        check(code == -signal.SIGKILL, "SIGKILL: exit %d\n%s" % (code, text))
    return 0


sys.exit(main())
