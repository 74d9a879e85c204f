"""Exit codes and the words that come with them: 0 met, 1 missed, 3 INVALID, 4 could not, 64 usage."""
import sys

from support import Bench, check, scenario

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
    bench.expect(4, "replay", bench.path("absent.h5"))


def usage(bench, met):
    typo = bench.write("typo.ini", scenario(engine=ENGINE.replace("max_batch", "max_bach"), traffic=TRAFFIC))
    for command in ["run", "check"]:
        says(bench.expect(64, command, typo), "typo.ini:7:", "did you mean", "max_batch")
    bench.expect(64, "runn", met)
    bench.expect(64, "run", met, "--no-such-option")
    bench.expect(64, "run")
    bench.expect(0, "check", met)
    bench.expect(0, "version")


def main():
    with Bench() as bench:
        met = verdicts(bench)
        could_not_run(bench, met)
        usage(bench, met)
    return 0


sys.exit(main())
