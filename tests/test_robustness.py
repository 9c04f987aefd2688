"""Broken files and kills: the short form of benchmarks/robustness.py, and that it sees the faults it promises."""

import json
import os
import sys

import pytest
from helpers import ROOT, process

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="it watches memory by /proc")]

# Readers with a fault each, and what the benchmark is to say of it.
PLANTED = r"""
import json, os, signal, sys, tempfile, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import numpy as np
import broken_files, robustness
from e2e_art.errors import UserError

def refused(sentence):
    def read(path, whole):
        raise UserError(sentence.format(path=path))
    return read

READERS = {
    "reads": lambda path, whole: path.read_bytes(),
    "refuses": refused("{path} is broken"),
    "refuses without a name": refused("it is broken"),
    "refuses in two lines": refused("{path} is broken\nTraceback"),
    "raises": lambda path, whole: json.loads("{"),
    "crashes": lambda path, whole: os.kill(os.getpid(), signal.SIGSEGV),
    "hangs": lambda path, whole: time.sleep(60),
    "takes memory": lambda path, whole: np.ones(2**25).sum(),
    "takes all memory": lambda path, whole: time.sleep(len(np.ones(2**27))),
    "prints": lambda path, whole: os.write(2, b"libtiff: bad tag"),
}
robustness.GIGABYTE, robustness.MOST_MEMORY = 2**27, 2**29  # far less: tests share a machine
whole, faults, found = Path(tempfile.mkdtemp()), Path("faults"), {}
(whole / "lists").mkdir()
(whole / "lists" / "list.txt").write_text("a.jpg\nb.jpg\n" * 9)
for name, reader in READERS.items():
    robustness.READERS["lists"], robustness.SECONDS = reader, 1 if name == "hangs" else 30
    results = list(robustness.fuzz("lists", range(2), 0, whole, faults))
    found[name] = [[result.number, result.outcome, result.text] for result in results]
kept = sorted(path.name for path in faults.rglob("*") if path.is_file())
again = [broken_files.break_bytes(b"0123456789" * 9, np.random.default_rng(seed)).hex() for seed in (1, 1, 2)]
print(json.dumps([found, kept, again]))
"""


def test_the_benchmark_sees_what_readers_do_wrong(fresh_python):
    found, kept, again = json.loads(fresh_python(PLANTED, ROOT / "benchmarks").stdout)
    expected = {
        "reads": ("read", ""),
        "refuses": ("refused", "list.txt is broken"),
        "refuses without a name": ("fault", "one line with the file's name"),
        "refuses in two lines": ("fault", "one line with the file's name"),
        "raises": ("fault", "JSONDecodeError at decoder.py"),
        "crashes": ("fault", "the process died of"),
        "hangs": ("fault", "more than 1 seconds"),
        "takes memory": ("fault", "more than 1 GB"),
        "takes all memory": ("fault", "more than 4 GB of memory"),
        "prints": ("fault", "libtiff: bad tag"),
    }
    assert found.keys() == expected.keys()
    for name, (outcome, words) in expected.items():
        assert [number for number, _, _ in found[name]] == [0, 1], name  # the second case, too, after a crash
        for _, what, text in found[name]:
            assert what == outcome and words in text, (name, text)
    assert kept == ["fault.txt", "fault.txt", "list.txt", "list.txt"]
    assert again[0] == again[1] != again[2]


def test_broken_files_and_kills_harm_nothing(tmp_path):
    kinds = ("pictures=400", "masks=60", "lists=60", "clips=40", "models=20", "onnx=60", "checkpoints=10", "kills=4")
    jobs = ("paint", "clip", "publish", "pack")
    faults = tmp_path / "faults"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = ("benchmarks/robustness.py", "--faults", faults, "--kinds", *kinds, "--jobs", *jobs)
    done = process(*words, env=environment)
    assert done.returncode == 0, done.stdout.decode()
    lines = done.stdout.decode().splitlines()
    assert [line.partition(" in ")[0] for line in lines] == [kind.replace("=", ": ") for kind in kinds]
    assert not faults.exists()
