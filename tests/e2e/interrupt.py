"""SIGINT during a run: exit 3, and what was measured until then is kept, marked incomplete."""
import glob
import signal
import subprocess
import sys

from support import PATIENCE, Bench, check, h5py, numpy, scenario, wait_until


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


def main():
    with Bench() as bench:
        path = bench.write("long.ini", scenario(
            engine="target = embedded\nmax_batch = 4\nkv = 16 MiB",
            traffic="rate = 20 /s\nduration = 30 min\nprompt = uniform 4..16\noutput = uniform 2..8"))
        out = bench.path("out")
        process = bench.start("run", path, "--out", out, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        before = wait_until(lambda: acknowledged(out), "the first acknowledged request", process)
        process.send_signal(signal.SIGINT)
        text, _ = process.communicate(timeout=PATIENCE)
        check(process.returncode == 3, "exit %d, not 3\n%s" % (process.returncode, text))
        with h5py.File(bench.results("out"), "r") as file:
            check(file["complete"][()] == 0, "complete = 0")
            check(file["run0000"].attrs["complete"] == 0, "the run itself says complete = 0")
            rows = file["run0000/requests"][:]
        check(len(rows) >= before, "%d requests acknowledged, %d kept" % (before, len(rows)))
        check(len(numpy.unique(rows["id"])) == len(rows), "ids are unique")
        check(not glob.glob(out + "/.live/*.h5"), "no live file is left beside the results")
        print("%d requests kept" % len(rows))
    return 0


sys.exit(main())
