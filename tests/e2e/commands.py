"""The commands that only tell: they end with 0, say what a reader asked for, and leave no file.

What they say is held against what the test knows from elsewhere: the model file's own header, the
keys of the scenario, and the arrivals that a real run recorded.
"""
import os
import re
import resource
import struct
import subprocess
import sys

from support import MODEL, PATIENCE, Bench, check, numpy, scenario, table

COMMANDS = ["run", "check", "serve", "generate", "inspect", "results", "replay", "dod", "explain",
            "bench", "devices", "docs", "version"]


def says(text, *patterns):
    for pattern in patterns:
        check(re.search(pattern, text, re.M), "no line fits %r:\n%s" % (pattern, text))


def about_itself(bench):
    says(bench.expect(0, "version"), r"^ryz \d+\.\d+\.\d+, commit \S+$", r"^(gcc|clang) ", r"^HDF5 \d")
    check(bench.expect(0, "--version") == bench.expect(0, "version"), "--version is version")
    says(bench.expect(0, "devices"), r"^cpu: +\d+ core\(s\), kernels: .*\bref\b", r"^cuda: ")
    for what in (("kernel",), ("attention", "--kv-type", "int8")):
        says(bench.expect(0, "bench", *what, "--budget", "1", "--stream", "0B"), r" ok \(error ")
    says(bench.expect(64, "bench", "attention", "--kv-heads", "2"), "--kv-heads does not divide")
    says(bench.expect(4, "dod", "--scenarios", bench.path("nowhere")), r'no folder ".*nowhere"')
    text = bench.expect(0, "help")
    says(text, *[r"^  %s +\S" % name for name in COMMANDS])
    listed = re.findall(r"^  (\w+) +\S", text, re.M)
    check(sorted(listed) == sorted(COMMANDS), "help lists the commands known here: %r" % listed)
    for name in COMMANDS:
        says(bench.expect(0, name, "--help"), r"^usage: ryz %s\b" % name)
        says(bench.expect(64, name, "--no-such-option"), "--no-such-option", r"^usage: ryz %s\b" % name)


def about_metrics(bench):
    text = bench.expect(0, "explain")
    says(text, r"\bttft\b", r"\btpot\b", r"\be2e\b", r"\bgoodput\.ratio\b", r"\blost\b")
    says(bench.expect(0, "explain", "ttft.p99"), "meaning .*first token", r"formula .*t_first - t_sched",
         "unit +ns")
    says(bench.expect(64, "explain", "tfft.p99"), 'did you mean "ttft')


def about_a_model(bench):
    with open(MODEL, "rb") as file:
        magic, _, tensors, _ = struct.unpack("<4sIQQ", file.read(24))
        file.seek(0)
        half = file.read(os.path.getsize(MODEL) // 2)
    check(magic == b"GGUF", "the model is a GGUF file")
    text = bench.expect(0, "inspect", MODEL)
    says(text, "%d bytes, %d tensors" % (os.path.getsize(MODEL), tensors), r"general\.architecture .*llama")
    weights = [int(n) for n in re.findall(r"^  \w+ +(\d+) tensors", text, re.M)]
    check(sum(weights) == tensors, "the table of types adds up to %d tensors: %r" % (tensors, weights))
    listed = bench.expect(0, "inspect", "--tensors", MODEL)
    check(listed.count("\n") >= text.count("\n") + tensors, "--tensors lists %d tensors" % tensors)
    with open(bench.path("half.gguf"), "wb") as file:
        file.write(half)
    for name in ["half.gguf", "absent.gguf"]:
        says(bench.expect(4, "inspect", bench.path(name)), r"^ryz: .*" + name.replace(".", r"\."))


def about_generating(bench):
    prompt = "Once upon a time"
    model = ["--model", MODEL]
    options = [*model, "--max-tokens", "16", "--kv", "4MiB", "--kv-type", "int8"]
    alone = [re.sub(r"\s*\[\d+ \+ \d+ tokens.*", "", bench.expect(
        0, "generate", "--seed", str(seed), *options, prompt), flags=re.S).strip() for seed in (5, 6, 7)]
    text = bench.expect(0, "generate", "--n", "3", "--seed", "5", *options, prompt)
    parts = re.split(r"=== \d of 3, seed \d ===\n", re.sub(r"\s*\[\d+ \+ \d+ tokens.*", "", text, flags=re.S))
    check([part.strip() for part in parts[1:]] == alone, "choices are what seeds of their own give:\n" + text)
    says(bench.expect(64, "generate", *model, "--n", "17", prompt), r"--n is 1 to 16")
    says(bench.expect(4, "generate", *model, "--kv-type", "int7", prompt), r"bf16, int8, f32")
    says(bench.expect(4, "generate", *model, "--kv", "1KiB", prompt), r"holds no block")


def about_a_scenario(bench):
    path = bench.write("told.ini", scenario(
        engine="target = embedded\nmax_batch = 4\nkv = 16 MiB",
        traffic="rate = 40 /s\nduration = 1 s\nprompt = uniform 4..48\noutput = uniform 2..8"))
    before = sorted(os.listdir(bench.folder))
    text = bench.expect(0, "check", path, "--set", "engine.max_batch=3")
    says(text, r"^\[engine\]", r"^max_batch +=\s+3\b.*--set", r"^kv +=.*told\.ini:8", r"^seed +=.*told\.ini:4",
         r"^scheduler +=.*default")
    text = bench.expect(0, "run", path, "--dry-run")
    rows = re.findall(r"^(\d+\.\d+),(\w+),(\d+),(\d+)$", text, re.M)
    says(text, r"^%d prompt tokens, cache\.bound 0\.0 %%$" % sum(int(row[2]) for row in rows))
    check(sorted(os.listdir(bench.folder)) == before, "telling commands leave no file")
    live = table(bench.run(path, "out"), "requests")
    live = live[numpy.argsort(live["id"])]
    check(len(rows) == len(live) > 0, "%d arrivals told, %d sent" % (len(rows), len(live)))
    check({row[1] for row in rows} == {"main"}, "arrivals name their traffic")
    for column, told in [("in_tok", 2), ("want_tok", 3)]:
        check([int(row[told]) for row in rows] == live[column].tolist(), "dry-run tells the sent " + column)
    off = numpy.abs(numpy.array([float(row[0]) for row in rows]) * 1e9 - live["t_sched"])
    check(off.max() <= 1000, "dry-run tells the schedule to the microsecond, off by %r ns" % off.max())


def about_wrong_options(bench):
    """What cannot be is said before anything is opened, with the way on."""
    said = [
        (["--speculate", "lokup"], r'--speculate: "lokup" is none of: off lookup draft; did you mean "lookup"\?'),
        (["--speculate", "draft"], r"--speculate draft needs --draft-model FILE"),
        (["--draft-model", MODEL], r"--draft-model is for --speculate draft"),
        (["--speculate", "lookup", "--draft-tokens", "9"], r"--draft-tokens is 1 to 8"),
        (["--speculate", "lookup", "--draft-tokens", "0"], r"--draft-tokens is 1 to 8"),
        (["--admit", "promt"], r'--admit: "promt" is none of: .*; did you mean "prompt"\?'),
        (["--scheduler", "fcsf"], r'--scheduler: "fcsf" is none of: .*; did you mean "fcfs"\?'),
        (["--kv-type", "int4"], r'--kv-type: "int4" is none of: .*; did you mean "int8"\?'),
        (["--log-level", "loud"], r'--log-level: "loud" is none of: debug info warn error'),
        (["--itl-target", "-5"], r'--itl-target wants MS, not "-5"'),
        (["--kv-host", "1"], r'--kv-host wants SIZE, not "1"'),
    ]
    for arguments, text in said:
        says(bench.expect(64, "serve", "--model", MODEL, "--port", "0", *arguments), "^ryz: " + text)
    half = bench.path("half.gguf")  # about_a_model left it
    says(bench.expect(4, "serve", "--model", MODEL, "--port", "0", "--speculate", "draft",
                      "--draft-model", half), r"^ryz: .*half\.gguf")
    says(bench.expect(4, "serve", "--model", MODEL, "--port", "0", "--kv-host", "1MiB",
                      "--no-prefix-cache"), r"^ryz: .*prefix cache.*switch it on")
    text = bench.expect(0, "serve", "--help")
    says(text, *[r"^  --%s\b" % name for name in (
        "kv-partitions", "kv-host", "speculate", "draft-model", "draft-tokens", "itl-target",
        "admit", "fixed-headroom", "connections")])


def about_too_few_files(bench):
    """A server says so when the system would not let it have its connections."""
    server = bench.start("serve", "--model", MODEL, "--port", "0", "--connections", "500",
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300)))
    text, _ = server.communicate(timeout=PATIENCE)
    check(server.returncode == 4, "exit 4, not %d: %s" % (server.returncode, text))
    says(text, r"^ryz: --connections 500: .*ulimit -Hn.*--connections 236$")


def main():
    with Bench() as bench:
        about_itself(bench)
        about_metrics(bench)
        about_a_model(bench)
        about_generating(bench)
        about_a_scenario(bench)
        about_wrong_options(bench)
        about_too_few_files(bench)
    return 0


sys.exit(main())
