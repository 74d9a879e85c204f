"""What the end-to-end tests share: a scratch folder, a scenario, the binary, its results.

Each test is a script that gets the binary's path as its first argument and runs it as a user
would: scenario files in, exit code, printed text and HDF5 out. Results are read with h5py, not
with the project's own reader, so that the two cannot agree on a mistake.

Checks are plain `check(condition, text)` and end the script; exit 77 tells ctest to skip.
"""
import glob
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

SKIP = 77
PATIENCE = 150  # seconds for one command: sanitized builds are ten times slower


def skip(why):
    print("skipped: " + why)
    sys.exit(SKIP)


try:
    import h5py
    import numpy
except ImportError:
    skip("no h5py (Debian: python3-h5py)")

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODEL = os.path.abspath(os.environ.get("RYZ_TEST_MODEL", os.path.join(ROOT, "models/ryz-tiny.gguf")))


def check(condition, text):
    if not condition:
        print("FAILED: " + text, flush=True)
        sys.exit(1)


class Bench:
    """A scratch folder and the binary; everything it started is gone at its end."""

    def __init__(self, needs_model=True):
        check(len(sys.argv) == 2, "usage: %s PATH_OF_RYZ" % sys.argv[0])
        self.ryz = os.path.abspath(sys.argv[1])
        if needs_model and not os.path.exists(MODEL):
            skip("no model at " + MODEL + " (set RYZ_TEST_MODEL)")
        self.folder = tempfile.mkdtemp(prefix="ryz-e2e-")
        self.started = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def start(self, *arguments, **options):
        # `spawn = ryz serve` in a scenario must find the binary under test.
        environment = dict(os.environ, PATH=os.path.dirname(self.ryz) + ":" + os.environ["PATH"])
        process = subprocess.Popen([self.ryz, *arguments], cwd=self.folder, env=environment, text=True,
                                   errors="replace", stdin=subprocess.DEVNULL, **options)
        self.started.append(process)
        return process

    def call(self, *arguments):
        """Runs to the end; (exit code, everything it printed)."""
        process = self.start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            text, _ = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            check(False, "still running after %d s: %s" % (PATIENCE, " ".join(arguments)))
        return process.returncode, text

    def expect(self, code, *arguments):
        got, text = self.call(*arguments)
        check(got == code, "exit %d, not %d, of: ryz %s\n%s" % (got, code, " ".join(arguments), text))
        return text

    def run(self, scenario, out, *arguments, code=0):
        """`ryz run` into an own folder; the path of its one results file."""
        self.expect(code, "run", scenario, "--out", self.path(out), "--quiet", *arguments)
        return self.results(out)

    def results(self, out):
        files = glob.glob(os.path.join(self.path(out), "*.h5"))
        check(len(files) == 1, "one results file in %s, not %r" % (out, files))
        return files[0]


def scenario(name="e2e", engine="", traffic="", more="", targets="lost = == 0", seed=7):
    """A scenario of one Poisson stream; later text adds keys and sections."""
    return """[scenario]
name = %s
schema = 1
seed = %d
[engine]
%s
[model]
path = %s
[traffic.main]
arrival = poisson
%s
ignore_eos = yes
%s
[targets]
%s
""" % (name, seed, engine, MODEL, traffic, more, targets)


def table(path, name, run="run0000"):
    with h5py.File(path, "r") as file:
        return file["%s/%s" % (run, name)][:]


def enum_numbers(path, name, column):
    """{text: number} of an enum column, from the file itself."""
    with h5py.File(path, "r") as file:
        return h5py.check_enum_dtype(file["run0000/" + name].dtype[column])


def enum_name(path, name, column, value):
    """The text of an enum's number; ends the test where the file has none."""
    names = {number: text for text, number in enum_numbers(path, name, column).items()}
    check(value in names, "%s.%s holds %r, which has no name" % (name, column, value))
    return names[value]


def one_row_each(rows):
    """Each request of the plan has exactly one row."""
    ids = rows["id"]
    check(len(ids) > 0, "the run has requests")
    check(numpy.array_equal(numpy.sort(ids), numpy.arange(1, len(ids) + 1)),
          "ids are 1..%d, each once: %r" % (len(ids), ids))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def http_get(port, path):
    with urllib.request.urlopen("http://127.0.0.1:%d%s" % (port, path), timeout=PATIENCE) as answer:
        return answer.status, answer.read().decode()


def wait_until(condition, what, process=None):
    """Polls a condition; ends the test where the process has ended or patience is over."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        got = condition()
        if got:
            return got
        check(process is None or process.poll() is None, "the process ended while waiting for " + what)
        time.sleep(0.005)
    check(False, "waited too long for " + what)
    return None


def processes_with(text):
    """Ids of the processes whose command line holds a text; zombies have none."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as file:
                line = file.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        number = int(path.split("/")[2])
        if text in line and number != os.getpid():
            found.append(number)
    return found
