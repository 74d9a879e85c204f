"""SIGINT or SIGTERM during a run: exit 3; what was measured is kept, marked incomplete."""
import glob
import signal
import subprocess
import sys

from support import PATIENCE, Bench, check, h5py, numpy, one_row_each, scenario, wait_until


def acknowledged(folder):
    """Requests that the live file has acknowledged so far."""
    for live in glob.glob(folder + "/.live/*.h5"):
        try:
            with h5py.File(live, "r", swmr=True) as file:
                names = [name.decode() for name in file["acked"].attrs["tables"]]
                return int(file["acked"][names.index("requests")])
        except OSError:
            pass  # not in SWMR mode yet
    return 0


def stop(bench, path, number):
    """Requests that a run kept which got this signal."""
    name = signal.Signals(number).name
    out = bench.path(name)
    process = bench.start("run", path, "--out", out, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    before = wait_until(lambda: acknowledged(out) >= 5 and acknowledged(out), "the first acknowledged requests", process)
    process.send_signal(number)
    text, _ = process.communicate(timeout=PATIENCE)
    check(process.returncode == 3, "%s: exit %d, not 3\n%s" % (name, process.returncode, text))
    check("INVALID" in text, "%s: the verdict is INVALID:\n%s" % (name, text))
    with h5py.File(bench.results(name), "r") as file:
        check(file["complete"][()] == 0, "complete = 0")
        check(file["run0000"].attrs["complete"] == 0, "the run itself says complete = 0")
        check(file["run0000"].attrs["valid"] == 0, "the run itself says valid = 0")
        rows = file["run0000/requests"][:]
    check(len(rows) >= before, "%d requests acknowledged, %d kept" % (before, len(rows)))
    one_row_each(rows)
    check(numpy.all(rows["out_tok"][rows["status"] == 0] == rows["want_tok"][rows["status"] == 0]),
          "requests that are ok have all their tokens")
    check(not glob.glob(out + "/.live/*.h5"), "no live file is left beside the results")
    return len(rows)


def main():
    with Bench() as bench:
        path = bench.write("long.ini", scenario(
            engine="target = embedded\nmax_batch = 4\nkv = 16 MiB",
            traffic="rate = 40 /s\nduration = 30 min\nprompt = uniform 4..16\noutput = uniform 2..64"))
        for number in [signal.SIGINT, signal.SIGTERM]:
            print("%s: %d requests kept" % (signal.Signals(number).name, stop(bench, path, number)))
    return 0


sys.exit(main())
