"""Compiles the models that it is sent, in a process of its own: whatever becomes of it, the test goes on.

A line of JSON on stdin (``target``, ``name``, ``size``) and the file's bytes; a line of JSON back (``outcome``,
``text``). CPU time and memory are limited for each model; too much time ends the process with SIGXCPU.
"""

import json
import os
import resource
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

from tilewright.compiler.compile import compile_model
from tilewright.compiler.compile_host import compile_for_host
from tilewright.config import load_config
from tilewright.errors import TilewrightError

MOST_SECONDS = 10
MOST_BYTES = 2 << 30
LONGEST_LINE = 4000
TINY = load_config("tiny")


def attempt(path: Path, target: str) -> dict[str, str]:
    try:
        if target == "host":
            compile_for_host(path)
        else:
            compile_model(path, TINY)
    except TilewrightError as error:
        text = str(error)
        sound = text and "\n" not in text and len(text) <= LONGEST_LINE
        return {"outcome": "refused" if sound else "broken", "text": text if sound else f"no line: {text[:2000]!r}"}
    except Exception:  # what users must never see
        return {"outcome": "broken", "text": traceback.format_exc(limit=-12)}
    return {"outcome": "program", "text": ""}


def used_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def mapped_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries may print what they like
    warnings.simplefilter("ignore")
    for seed in sys.argv[1:]:  # first compilations load and initialise libraries
        for target in ("host", "accelerator"):
            attempt(Path(seed), target)
    resource.setrlimit(resource.RLIMIT_AS, (mapped_bytes() + MOST_BYTES,) * 2)
    with tempfile.TemporaryDirectory() as folder:
        while line := requests.readline():
            request = json.loads(line)
            path = Path(folder) / request["name"]
            path.write_bytes(requests.read(request["size"]))
            resource.setrlimit(resource.RLIMIT_CPU, (int(used_seconds()) + 1 + MOST_SECONDS, resource.RLIM_INFINITY))
            print(json.dumps(attempt(path, request["target"])), file=answers, flush=True)


if __name__ == "__main__":
    main()
