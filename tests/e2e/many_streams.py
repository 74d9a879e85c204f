"""2,000 streams at once, all open before the first has ended: none fails, and memory goes back.

One thread with an epoll reads them, so that what is looked at is the server. It says what a stream
costs: memory resident while all are open, less that after a round of one full batch, which has
touched the KV blocks and the buffers of the forward pass.
"""
import json
import os
import re
import resource
import selectors
import signal
import socket
import subprocess
import sys
import time

from support import MODEL, PATIENCE, Bench, check, free_port, http_get, skip, wait_until

STREAMS = 2000
# That run at a time; the others queue. A round of just these is the hard one: libmicrohttpd 0.9.75 by
# itself takes 128 events at a time and, after full batches alone, waits for one more before it
# handles any (engine/api/http_loop.h).
BATCH = 256
PROMPT, OUTPUT = 8, 8     # tokens: a stream fits into one KV block of 16
KV_MIB = 20               # 320 blocks of ryz-tiny's 64 KiB: a full batch and its headroom
PER_STREAM_MAX = 64 << 10 # bytes; measured: 34 KiB
GROWTH_MAX = 16 << 20     # bytes at rest, of 2,000 streams; measured: 8 MiB, 6 KiB of each place
OTHER_FILES = 64          # of a process, beside its sockets
REST = 2.0                # seconds to look for memory to go back; the server does so every 0.25 s


def request_bytes(number):
    body = json.dumps({"prompt": [2 + (number + i) % 200 for i in range(PROMPT)], "stream": True,
                       "max_tokens": OUTPUT, "ignore_eos": True, "temperature": 0, "return_token_ids": True,
                       "stream_options": {"include_usage": True}}).encode()
    return (b"POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)) + body


def metric(port, name):
    status, text = http_get(port, "/metrics")
    check(status == 200, "/metrics answers 200")
    found = re.search(r"^%s(?:\{[^}]*\})? (\S+)$" % name, text, re.M)
    check(found, "/metrics has %s:\n%s" % (name, text))
    return float(found.group(1))


def resident_bytes(process):
    with open("/proc/%d/statm" % process.pid, encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def answers(port):
    try:
        return http_get(port, "/healthz")[0] == 200
    except OSError:
        return False


def connect_all(port, selector, count):
    """All connections, each with all of its request but the last byte sent."""
    streams = []
    for number in range(count):
        connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        connection.sendall(request_bytes(number)[:-1])
        connection.setblocking(False)
        stream = {"socket": connection, "data": bytearray(), "number": number, "whole": False}
        selector.register(connection, selectors.EVENT_READ, stream)
        streams.append(stream)
    return streams


def read_some(stream, selector):
    """False once the stream has ended."""
    try:
        piece = stream["socket"].recv(65536)
    except OSError as error:
        piece = b""
        stream["error"] = error
    stream["data"] += piece
    if not piece:
        selector.unregister(stream["socket"])
        stream["socket"].close()
    return bool(piece)


def verify(stream):
    data = bytes(stream["data"])
    check(data.startswith(b"HTTP/1.1 200") and b"data: [DONE]" in data,
          "stream %d ends whole, not as %r, %r" % (stream["number"], data[:300], stream.get("error")))
    events = [json.loads(line[6:]) for line in data.replace(b"\r\n", b"\n").split(b"\n")
              if line.startswith(b"data: {")]
    tokens = [t for e in events for c in e.get("choices", []) for t in c.get("token_ids", [])]
    usage = [e["usage"] for e in events if e.get("usage")]
    check(len(tokens) == OUTPUT and usage and usage[-1]["completion_tokens"] == OUTPUT,
          "stream %d got its %d tokens, not %r" % (stream["number"], OUTPUT, tokens))
    return tokens


def one_round(port, server, count):
    """Opens, reads and checks all; bytes resident at the most and afterwards, tokens, seconds."""
    selector = selectors.EpollSelector()
    streams = connect_all(port, selector, count)
    began, looked, most, left = time.monotonic(), 0.0, 0, count
    for stream in streams:  # the requests become whole; all are open
        stream["socket"].setblocking(True)
        stream["socket"].sendall(b"}")
        stream["socket"].setblocking(False)
    while left > 0:
        check(time.monotonic() < began + PATIENCE, "%d streams do not end" % left)
        for key, _ in selector.select(1.0):
            left -= not read_some(key.data, selector)
        if time.monotonic() > looked + 0.02:
            looked, most = time.monotonic(), max(most, resident_bytes(server))
    seconds = time.monotonic() - began
    selector.close()
    wait_until(lambda: metric(port, "ryz_kv_blocks_used") == 0, "all KV blocks to be free", server)
    rest, until = resident_bytes(server), time.monotonic() + REST
    while time.monotonic() < until:
        rest = min(rest, resident_bytes(server))
        time.sleep(0.05)
    return most, rest, [verify(stream) for stream in streams], seconds


def allow_files(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        skip("%d files may be open at most, %d are needed (ulimit -Hn)" % (hard, count))
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def sanitized(path):
    with open(path, "rb") as file:
        return b"__asan_init" in file.read()


def judge_memory(before, most, rest):
    each = (most - before) / (STREAMS - BATCH)
    print("resident: %.1f MiB after %d streams, %.1f MiB at the most of %d, %.1f MiB after them"
          % (before / 2**20, BATCH, most / 2**20, STREAMS, rest / 2**20))
    print("%.1f KiB for each open stream, beside the KV pool of %d MiB (one block of 64 KiB for each"
          " of the %d that run)" % (each / 1024, KV_MIB, BATCH))
    check(each <= PER_STREAM_MAX, "a stream costs up to %d bytes" % PER_STREAM_MAX)
    check(rest - before <= GROWTH_MAX, "memory goes back when the streams are gone")


def main():
    with Bench() as bench:
        allow_files(STREAMS + OTHER_FILES)
        port = free_port()
        server = bench.start(
            "serve", "--model", MODEL, "--port", str(port), "--log-level", "error", "--kv",
            "%dMiB" % KV_MIB, "--max-batch", str(BATCH), "--max-queue", str(STREAMS),
            "--connections", str(STREAMS + 8), stdout=subprocess.DEVNULL)
        wait_until(lambda: answers(port), "/healthz", server)
        for _ in range(2):
            _, before, few, _ = one_round(port, server, BATCH)
        most, rest, many, seconds = one_round(port, server, STREAMS)
        check(many[:BATCH] == few, "a stream's tokens do not depend on how many there are")
        check(metric(port, "ryz_requests_finished_total") == 2 * BATCH + STREAMS, "all finished")
        check(metric(port, "ryz_requests_rejected_total") == 0, "none was refused")
        check(metric(port, "ryz_requests_failed_total") == 0, "none failed")
        print("%d streams of %d tokens in %.1f s" % (STREAMS, OUTPUT, seconds))
        if not sanitized(bench.ryz):  # a sanitizer keeps what is freed for a while
            judge_memory(before, most, rest)
        check(answers(port), "/healthz answers 200 afterwards")
        server.send_signal(signal.SIGTERM)
        check(server.wait(timeout=PATIENCE) == 0, "SIGTERM ends it with 0, not %d" % server.returncode)
    return 0


sys.exit(main())
