#!/usr/bin/env python3
"""The house's law, checked: who may include whom, how deep, how large.

Reads the #include lines of every C file and fails on an arrow that ALLOWED does not have, on a
cycle, on an include chain deeper than DEPTH_MAX, on a function that does not fit a screen, on a
file too long, and on words that have no place in the project.
"""
import re
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEPTH_MAX = 6
FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
REACH_MEDIAN_MAX = 8      # project headers that a .c file reaches, directly or not
HEADER_MEDIAN_MAX = 120   # lines

# room -> rooms whose headers it may include (itself always). "harness" sees everything.
ALLOWED = {
    "kernels": set(),
    "engine/base": set(),
    "engine/obs": {"engine/base"},
    "engine/resilience": {"engine/base"},
    "engine/sched": {"engine/base"},
    "engine/memory": {"engine/base", "engine/obs", "kernels"},
    "engine/backend": {"engine/base", "engine/obs", "kernels"},
    "engine/model": {"engine/base", "engine/obs", "engine/backend", "engine/memory", "kernels"},
    "engine/optimize": {"engine/base", "engine/obs", "engine/backend", "engine/memory",
                        "engine/model", "kernels"},
    "engine/runtime": {"engine/base", "engine/obs", "engine/backend", "engine/memory",
                       "engine/model", "engine/sched", "engine/resilience", "engine/optimize",
                       "kernels"},
    # model: the tokenizer and the chat template are part of the interface's codec.
    "engine/api": {"engine/base", "engine/obs", "engine/runtime", "engine/sched", "engine/model",
                   "engine/resilience"},
    "simulators": {"engine/base", "engine/resilience", "engine/sched"},
    "harness": None,
}
# Third-party headers and the only rooms that may include them.
OWNERS = {
    "hdf5.h": {"harness"}, "microhttpd.h": {"engine/api"}, "sodium.h": {"harness", "engine/api"},
    "pcre2.h": {"engine/model"}, "utf8proc.h": {"engine/model"}, "ini.h": {"engine/base"},
    "xxhash.h": {"engine/base"}, "curl/curl.h": {"engine/obs"},
}
BANNED_CALLS = re.compile(r"\b(clock_gettime|gettimeofday|time\s*\(\s*NULL|getenv|rand|srand|exit)"
                          r"\s*\(")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")


def sources():
    for top in ("kernels", "engine", "simulators", "harness"):
        for path in sorted((ROOT / top).rglob("*")):
            if path.suffix in (".c", ".h", ".cu"):
                yield path.relative_to(ROOT)


def room_of(path):
    parts = Path(path).parts
    return "/".join(parts[:2]) if parts[0] == "engine" else parts[0]


def strip_comments(text):
    keep_lines = lambda m: re.sub(r"[^\n]", " ", m.group(0))
    text = re.sub(r"/\*.*?\*/", keep_lines, text, flags=re.S)
    text = re.sub(r"//[^\n]*", keep_lines, text)
    return re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)


def functions(lines):
    """Yields (first line, length): a body starts and ends with a brace in column 0."""
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start is not None:
            yield start, number - start + 1
            start = None


def main():
    problems, includes, header_lines = [], {}, []
    for path in sources():
        text = (ROOT / path).read_text()
        lines = text.splitlines()
        code = strip_comments(text)
        room = room_of(path)
        if path.suffix == ".h":
            header_lines.append(len(lines))
        if not text.lstrip().startswith("/*"):
            problems.append(f"{path}: starts without a comment that says what it does")
        if len(lines) > FILE_LINES_MAX:
            problems.append(f"{path}: {len(lines)} lines, split it (at most {FILE_LINES_MAX})")
        for first, length in functions(code.splitlines()):
            if length > FUNCTION_LINES_MAX:
                problems.append(f"{path}:{first}: a function of {length} lines "
                                f"(at most {FUNCTION_LINES_MAX})")
        if UNFINISHED.search(text):
            problems.append(f"{path}: unfinished work (TODO and the like)")
        if room != "harness":
            for match in BANNED_CALLS.finditer(code):
                line = code.count("\n", 0, match.start()) + 1
                problems.append(f"{path}:{line}: {match.group(1)} below harness/")
        own = []
        for match in re.finditer(r'^#include\s+"([^"]+)"', text, flags=re.M):
            target = match.group(1)
            if not (ROOT / target).exists():
                if (ROOT / path).parent.joinpath(target).exists():
                    problems.append(f"{path}: include \"{target}\" from the repository root")
                continue
            own.append(target)
            allowed = ALLOWED.get(room, set())
            other = room_of(target)
            if allowed is not None and other != room and other not in allowed:
                problems.append(f"{path}: {room} must not include {other} ({target})")
        for match in re.finditer(r"^#include\s+<([^>]+)>", text, flags=re.M):
            owners = OWNERS.get(match.group(1))
            if owners is not None and room not in owners:
                problems.append(f"{path}: <{match.group(1)}> belongs to {sorted(owners)} only")
        includes[str(path)] = own

    depth = {}

    def depth_of(name, trail):
        if name in trail:
            problems.append("include cycle: " + " -> ".join([*trail[trail.index(name):], name]))
            return 0
        if name not in depth:
            depth[name] = max((1 + depth_of(n, [*trail, name]) for n in includes.get(name, [])),
                                  default=0)
        return depth[name]

    def reach(name, seen):
        for target in includes.get(name, []):
            if target not in seen:
                seen.add(target)
                reach(target, seen)
        return seen

    for name in includes:
        if name.endswith(".h") and depth_of(name, []) > DEPTH_MAX:
            problems.append(f"{name}: include chain of {depth[name]} (at most {DEPTH_MAX})")
    reaches = [len(reach(n, set())) for n in includes if n.endswith(".c")]
    median_reach = statistics.median(reaches) if reaches else 0
    if median_reach > REACH_MEDIAN_MAX:
        problems.append(f"a .c file reaches {median_reach} project headers at the median "
                        f"(at most {REACH_MEDIAN_MAX})")
    if header_lines and statistics.median(header_lines) > HEADER_MEDIAN_MAX:
        problems.append(f"headers have {statistics.median(header_lines)} lines at the median "
                        f"(at most {HEADER_MEDIAN_MAX})")
    for problem in problems:
        print(problem)
    print(f"{len(includes)} files, deepest include chain {max(depth.values(), default=0)}, "
          f"median reach {median_reach}, {len(problems)} problem(s)")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
