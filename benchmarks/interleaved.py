"""Times engines in turn, A B A B, each in a process of its own: so none warms or burdens another.

A script that measures has two sides.  Called as a person calls it, it asks `interleave` for the figures; that starts
the script once more for each engine, with ``--engine NAME``, and there it hands what is to be timed to `serve`.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

__all__ = ["Figures", "command_line", "interleave", "serve", "table"]

PAUSE = 0.5  # seconds between two engines: threads spin on for a while after their work


@dataclass
class Figures:
    """What was measured of an engine; times in seconds, memory in MiB."""

    load: float = 0.0  # from the start of the process until it could begin
    first: float = 0.0  # its first call
    calls: list[float] = field(default_factory=list)  # the later ones
    peak: float = 0.0  # resident memory at its highest
    answer: object = None  # what its first call returned

    @property
    def median(self) -> float:
        return statistics.median(self.calls)


def command_line(description: str) -> argparse.ArgumentParser:
    """Returns a parser with the flags of every benchmark: the threads, and the engine that `interleave` names."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: all cores")
    parser.add_argument("--engine", help=argparse.SUPPRESS)
    return parser


def serve(call: Callable[[], object]) -> None:
    """Answers each line on stdin with one timed call: its seconds, the peak memory so far, what it returned."""

    def tell(**figures) -> None:
        print(json.dumps(figures), file=out, flush=True)

    out, sys.stdout = sys.stdout, sys.stderr  # whatever else an engine prints goes elsewhere
    tell(ready=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        answer = call()
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
        tell(seconds=seconds, peak=peak, answer=answer)


def interleave(engines: Sequence[str], rounds: int, arguments: Sequence[str] = ()) -> dict[str, Figures]:
    """Calls each engine once to warm up, then all of them in turn, `rounds` times; returns the figures of each."""
    processes, figures = {}, {}

    def ask(engine: str, line: str = "") -> dict:
        process = processes[engine]
        if line:
            process.stdin.write(line)
            process.stdin.flush()
        answer = process.stdout.readline()
        if not answer:
            raise SystemExit(f"The engine '{engine}' ended early, with exit code {process.wait()}")
        return json.loads(answer)

    try:
        for engine in engines:
            started = time.perf_counter()
            processes[engine] = subprocess.Popen(
                [sys.executable, sys.argv[0], "--engine", engine, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            ask(engine)
            figures[engine] = Figures(load=time.perf_counter() - started)
            first = ask(engine, "call\n")
            own = figures[engine]
            own.first, own.peak, own.answer = first["seconds"], first["peak"], first["answer"]
        for _ in range(rounds):
            for engine in engines:
                time.sleep(PAUSE)
                call = ask(engine, "call\n")
                figures[engine].calls.append(call["seconds"])
                figures[engine].peak = call["peak"]
    finally:
        for process in processes.values():
            process.stdin.close()
            process.wait()
    return figures


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table in Markdown, its columns lined up; all but the first to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [head, rule, *rows]
    cells = [[row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:]))] for row in lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
