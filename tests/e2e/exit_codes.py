"""Exit codes and the words that come with them: 0 met, 1 missed, 3 INVALID, 4 could not, 64 usage."""
import glob
import os
import socket
import subprocess
import sys

from support import MODEL, PATIENCE, Bench, check, free_port, one_row_each, scenario, table

ENGINE = "target = embedded\nmax_batch = 4\nkv = 16 MiB"
TRAFFIC = "rate = 20 /s\nduration = 500 ms\nprompt = uniform 4..16\noutput = uniform 2..8"


def says(text, *words):
    for word in words:
        check(word in text, "the message holds %r:\n%s" % (word, text))


def verdicts(bench):
    met = bench.write("met.ini", scenario(engine=ENGINE, traffic=TRAFFIC))
    bench.expect(0, "run", met, "--out", bench.path("met"))
    missed = bench.write("missed.ini", scenario(engine=ENGINE, traffic=TRAFFIC,
                                                targets="requests = >= 1000000"))
    bench.expect(1, "run", missed, "--out", bench.path("missed"))
    few = bench.write("few.ini", scenario(engine=ENGINE, traffic=TRAFFIC, targets="ttft.p99 = <= 60 s"))
    says(bench.expect(3, "run", few, "--out", bench.path("few")), "INVALID")
    return met


def could_not_run(bench, met):
    text = bench.expect(4, "run", met, "--set", "model.path=" + bench.path("absent.gguf"),
                        "--out", bench.path("absent"))
    says(text, "absent.gguf", "tools/get-model.sh")
    bench.write("text.gguf", "This is no model.")
    for name in ["run", "serve", "generate", "inspect"]:
        arguments = {"run": [met, "--set", "model.path=" + bench.path("text.gguf"), "--out", bench.path("text")],
                     "serve": ["--model", bench.path("text.gguf"), "--port", "0"],
                     "generate": ["--model", bench.path("text.gguf"), "Once"],
                     "inspect": [bench.path("text.gguf")]}[name]
        says(bench.expect(4, name, *arguments), "text.gguf", "GGUF")
    says(bench.expect(4, "replay", bench.path("absent.h5")), "absent.h5")
    says(bench.expect(4, "replay", bench.path("text.gguf")), "text.gguf")
    says(bench.expect(4, "results", "recover", bench.path("text.gguf"), bench.path("out.h5")), "text.gguf")
    check(not os.path.exists(bench.path("out.h5")), "recover writes nothing where there is nothing")
    says(bench.expect(4, "run", bench.path("absent.ini")), "absent.ini")
    says(bench.expect(4, "run", met, "--out", met), "met.ini")  # a file where a folder is wanted


def server_troubles(bench):
    def over_http(name, spawn, port):
        return bench.write(name, scenario(
            engine="target = http\nurl = http://127.0.0.1:%d/v1\nspawn = %s" % (port, spawn), traffic=TRAFFIC))

    port = free_port()
    serve = "ryz serve --port %d --model " % port
    says(bench.expect(4, "run", over_http("none.ini", "no-such-program", port), "--out", bench.path("none")),
         "server.log")
    dies = over_http("dies.ini", serve + bench.path("absent.gguf"), port)
    says(bench.expect(4, "run", dies, "--out", bench.path("dies")), "server.log")
    logs = glob.glob(bench.path("dies/*/server.log"))
    check(len(logs) == 1, "the server's output is kept: %r" % logs)
    with open(logs[0], encoding="utf-8") as log:
        says(log.read(), "absent.gguf")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        busy = over_http("busy.ini", serve + "{model}", port)
        says(bench.expect(4, "run", busy, "--out", bench.path("busy")), str(port))
        says(bench.expect(4, "serve", "--model", MODEL, "--port", str(port)), str(port))
    # A path with a blank in it stays one word of the command.
    os.mkdir(bench.path("a folder"))
    os.symlink(MODEL, bench.path("a folder/model.gguf"))
    bench.expect(0, "run", busy, "--set", "model.path=" + bench.path("a folder/model.gguf"),
                 "--out", bench.path("blank"))


def names_are_never_shared(bench, met):
    """Runs that begin in the same second get files of their own."""
    runs = [bench.start("run", met, "--quiet", "--out", bench.path("shared"), stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT) for _ in range(3)]
    for process in runs:
        text, _ = process.communicate(timeout=PATIENCE)
        check(process.returncode == 0, "exit %d of one of three runs:\n%s" % (process.returncode, text))
    files = glob.glob(bench.path("shared/*.h5"))
    check(len(files) == len(runs), "three runs, three files: %r" % files)
    for path in files:
        one_row_each(table(path, "requests"))


def usage(bench, met):
    typo = bench.write("typo.ini", scenario(engine=ENGINE.replace("max_batch", "max_bach"), traffic=TRAFFIC))
    for command in ["run", "check"]:
        says(bench.expect(64, command, typo), "typo.ini:7:", "did you mean", "max_batch")
        says(bench.expect(64, command, met, "--set", "targets.lost=<= 1 x of tttf.p90"),
             "tttf", "did you mean", "ttft.p90")
    says(bench.expect(64, "runn", met), 'unknown command "runn"', 'did you mean "run"')
    says(bench.expect(64, "run", met, "--qiet"), "unknown option --qiet", "--quiet")
    says(bench.expect(64, "run", met, "--set", "engine.max_bach=3"), "max_bach", "did you mean", "max_batch")
    says(bench.expect(64, "run"), "usage: ryz run")
    says(bench.expect(64), "usage: ryz COMMAND")
    bench.expect(0, "check", met)
    bench.expect(0, "version")


def main():
    with Bench() as bench:
        met = verdicts(bench)
        could_not_run(bench, met)
        server_troubles(bench)
        names_are_never_shared(bench, met)
        usage(bench, met)
    return 0


sys.exit(main())
