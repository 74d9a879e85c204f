"""64 raw streams at once, some of three choices, half of which hang up at random: all are forgotten.

After each round no KV block is in use; after all, /healthz says 200, the process is the same, its
memory has not grown with the rounds, and SIGTERM ends it with 0.
"""
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading

from support import MODEL, PATIENCE, ROOT, Bench, check, free_port, http_get, wait_until

STREAMS = 64
# What memory may grow by over 8 rounds, once 4 have touched everything: 4 KiB a stream. Over 36
# rounds it grew by 0.4 MiB.
GROWTH_MAX = 2 << 20
REAL = os.path.join(ROOT, "models/smollm2-135m-instruct-q4_1.gguf")


def request_bytes(number):
    body = json.dumps({"model": "m", "prompt": [2 + (number + i) % 200 for i in range(16)],
                       "max_tokens": 24, "stream": True, "ignore_eos": True,
                       "n": 3 if number % 4 < 2 else 1}).encode()
    return (b"POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)) + body


def stream(port, number, leave_after, ends):
    """Reads a stream to its end, or hangs up after so many bytes (0: at once)."""
    data = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            connection.sendall(request_bytes(number))
            while leave_after is None or len(data) < leave_after:
                piece = connection.recv(256)
                if not piece:
                    break
                data += piece
    except OSError as error:
        data = b"broken: " + str(error).encode()
    if leave_after is not None:
        ends[number] = "left"
    elif data.startswith(b"HTTP/1.1 200") and b"data: [DONE]" in data:
        ends[number] = "whole"
    else:
        ends[number] = data[:300].decode(errors="replace")


def one_round(port, dice):
    ends = {}
    threads = [threading.Thread(target=stream, args=(
        port, number, None if number % 2 else dice.choice([0, 1, 300, 800, 1600]), ends))
        for number in range(STREAMS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(len(ends) == STREAMS, "each stream ended")
    odd = {number: end for number, end in ends.items() if end not in ("whole", "left")}
    check(not odd, "%d streams end neither whole nor left, such as: %s"
          % (len(odd), next(iter(odd.values()), "")))
    check(list(ends.values()).count("whole") == STREAMS // 2, "those who stay get all")


def blocks_used(port):
    status, text = http_get(port, "/metrics")
    check(status == 200, "/metrics answers 200")
    found = re.search(r"^ryz_kv_blocks_used(?:\{[^}]*\})? (\S+)$", text, re.M)
    check(found, "/metrics has ryz_kv_blocks_used:\n" + text)
    return float(found.group(1))


def answers(port):
    try:
        return http_get(port, "/healthz")[0] == 200
    except OSError:
        return False


def resident_bytes(process):
    with open("/proc/%d/statm" % process.pid, encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def sanitized(path):
    with open(path, "rb") as file:
        return b"__asan_init" in file.read()


def serve_rounds(bench, model, rounds, warm):
    """Rounds of streams against one server; `warm` rounds go before memory is looked at."""
    port = free_port()
    server = bench.start("serve", "--model", model, "--port", str(port), "--name", "m",
                         "--log-level", "error", stdout=subprocess.DEVNULL)
    wait_until(lambda: answers(port), "/healthz", server)
    dice, sizes = random.Random(64), []
    for _ in range(rounds):
        one_round(port, dice)
        wait_until(lambda: blocks_used(port) == 0, "all KV blocks to be free", server)
        sizes.append(resident_bytes(server))
    check(answers(port), "/healthz answers 200 afterwards")
    if rounds > warm and not sanitized(bench.ryz):  # a sanitizer keeps what is freed for a while
        check(sizes[-1] - sizes[warm - 1] <= GROWTH_MAX, "memory grows with the rounds: %r" % sizes)
    server.send_signal(signal.SIGTERM)
    check(server.wait(timeout=PATIENCE) == 0, "SIGTERM ends it with 0, not %d" % server.returncode)
    print("%s: %d rounds of %d streams, resident MiB after each: %s"
          % (os.path.basename(model), rounds, STREAMS, [round(size / 2**20, 1) for size in sizes]))


def main():
    with Bench() as bench:
        serve_rounds(bench, MODEL, 12, 4)
        if os.path.exists(REAL):
            serve_rounds(bench, REAL, 1, 1)
        else:
            print("no real model at " + REAL)
    return 0


sys.exit(main())
