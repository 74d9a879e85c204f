"""kill -9 of `ryz run` at random moments: every acknowledged row comes back by `results recover`.

The live file is read as it lay at death (h5py, SWMR) and the recovered one as an ordinary file, by
h5py and by `results list`; rows are compared by value, not only counted.
"""
import glob
import random
import re
import signal
import subprocess
import sys
import time

from support import Bench, check, h5py, numpy, scenario, wait_until

ROUNDS = 20
KEPT = ["t_sched", "t_send", "t_done", "in_tok", "out_tok", "status", "prompt_hash", "output_hash"]


def acknowledged(live):
    """{table: rows} at death, or None where death came before there was a readable file."""
    try:
        file = h5py.File(live, "r", swmr=True)
    except OSError:
        return None
    with file:
        names = [name.decode() for name in file["acked"].attrs["tables"]]
        counts = dict(zip(names, (int(n) for n in file["acked"][:])))
        return {name: file["run/" + name][:count] for name, count in counts.items()}


def die_at_random(bench, path, out, dice):
    """Starts a run and kills it; the live file's path, or None where there was none yet."""
    process = bench.start("run", path, "--out", out, "--quiet", stdout=subprocess.DEVNULL)
    lives = wait_until(lambda: glob.glob(out + "/.live/*.h5"), "the live file", process)
    time.sleep(dice.uniform(0, 1.2))
    check(process.poll() is None, "the run was over before it could be killed")
    process.send_signal(signal.SIGKILL)
    process.wait()
    return lives[0]


def compare_requests(before, after):
    order = numpy.argsort(after["id"])
    check(len(numpy.unique(after["id"])) == len(after), "recovered ids are unique")
    after = after[order]
    check(numpy.all(numpy.diff(after["t_sched"]) >= 0), "schedule times rise with the id")
    places = numpy.searchsorted(after["id"], before["id"])
    check(numpy.all(places < len(after)), "every acknowledged id was recovered")
    check(numpy.array_equal(after["id"][places], before["id"]), "every acknowledged id was recovered")
    for column in KEPT:
        check(numpy.array_equal(after[column][places], before[column]), "same values of " + column)


def compare_others(name, before, after):
    """Tables that recovery only copies; tokens are sorted by request on the way."""
    check(len(after) >= len(before), "%d rows of %s acknowledged, %d recovered"
          % (len(before), name, len(after)))
    if name == "tokens":
        order = ["request", "t_ns"]
        before, after = numpy.sort(before, order=order), numpy.sort(after, order=order)
        check(len(after) == len(before), "no token that was not acknowledged")
    check(numpy.array_equal(after[:len(before)], before), "same rows of " + name)


def check_list(bench, path, requests):
    text = bench.expect(0, "results", "list", path)
    check("interrupted" in text, "list says that the run was interrupted:\n" + text)
    told = re.findall(r"^ +requests +(\d+) rows$", text, re.M)
    check(told == ([str(requests)] if requests > 0 else []), "list tells %d requests:\n%s" % (requests, text))


def one_round(bench, path, number, dice):
    """Requests acknowledged and recovered, or None where the round has to be repeated."""
    live = die_at_random(bench, path, bench.path("out%d" % number), dice)
    rows = acknowledged(live)
    if rows is None:
        return None
    target = bench.path("recovered%d.h5" % number)
    bench.expect(0, "results", "recover", live, target)
    with h5py.File(target, "r") as file:
        check(file["complete"][()] == 0, "a recovered file says complete = 0")
        for name, before in rows.items():
            if name != "requests":
                compare_others(name, before, file["run0000/" + name][:])
        recovered = file["run0000/requests"][:]
    compare_requests(rows["requests"], recovered)
    check_list(bench, target, len(recovered))
    return len(recovered)


def sweep_killed(bench, dice):
    """A kill in the third run of a sweep: the two before it come back whole."""
    path = bench.write("sweep.ini", scenario(
        engine="target = embedded\nkv = 16 MiB",
        traffic="rate = 20 /s\nduration = 700 ms\nprompt = uniform 4..16\noutput = uniform 2..8",
        more="[sweep]\nengine.max_batch = 1 2 4 8"))
    arrivals = bench.expect(0, "run", path, "--dry-run").count(",main,")
    out = bench.path("sweep")
    process = bench.start("run", path, "--out", out, "--quiet", stdout=subprocess.DEVNULL)
    wait_until(lambda: glob.glob(out + "/.live/*-0002.h5"), "the third run", process)
    time.sleep(dice.uniform(0, 0.5))
    process.kill()
    process.wait()
    target = bench.path("sweep.h5")
    text = bench.expect(0, "results", "recover", *sorted(glob.glob(out + "/.live/*.h5")), target)
    with h5py.File(target, "r") as file:
        runs = [name for name in sorted(file) if name.startswith("run")]
        check(len(runs) in (2, 3), "runs recovered: %r" % runs)
        check("%d of 3 run(s) recovered" % len(runs) in text, "recover counts runs:\n" + text)
        check(len(runs) == 3 or "skipped: " in text, "recover names the file it could not read:\n" + text)
        for number, run in enumerate(runs[:2]):
            check(file[run].attrs["point"] == number, "%s is of point %d" % (run, number))
            ids = sorted(file[run + "/requests"]["id"])
            check(ids == list(range(1, arrivals + 1)), "%s has all its %d requests: %r" % (run, arrivals, ids))
    print("a sweep killed in its third run: %d runs recovered" % len(runs))


def main():
    seed = 20
    dice = random.Random(seed)
    with Bench() as bench:
        # Short steps and short requests: many rows in a second.
        path = bench.write("crash.ini", scenario(
            engine="target = embedded\nmax_batch = 4\nkv = 16 MiB",
            traffic="rate = 20 /s\nduration = 20 s\nprompt = uniform 4..16\noutput = uniform 2..8"))
        got, tries = [], 0
        while len(got) < ROUNDS:
            check(tries < 3 * ROUNDS, "most runs died before their live file was readable")
            requests = one_round(bench, path, tries, dice)
            tries += 1
            if requests is not None:
                got.append(requests)
        check(sum(got) > 0, "some requests were acknowledged before death")
        print("%d kills (seed %d, %d too early): requests acknowledged %r, all recovered"
              % (len(got), seed, tries - len(got), got))
        sweep_killed(bench, dice)
    return 0


sys.exit(main())
