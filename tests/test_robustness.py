"""Broken files and kills: the short form of benchmarks/robustness.py, and that it sees the faults it promises."""

import io
import json
import os
import sys

import numpy as np
import onnx
import pytest
import tifffile
from helpers import ROOT, assert_one_sentence, photo_folder, process
from onnx import TensorProto, helper, numpy_helper

from e2e_art.clips.container import _Nameless
from e2e_art.commands.main import main
from e2e_art.errors import ImageError
from e2e_art.images.io import read_image

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="the benchmark watches memory by /proc")

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
robustness.GIGABYTE, robustness.MOST_MEMORY = 2**27, 6 * 2**27  # far less: tests share a machine
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


@needs_proc
@pytest.mark.slow
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
        "takes all memory": ("fault", "more than 6 GB of memory"),
        "prints": ("fault", "libtiff: bad tag"),
    }
    assert found.keys() == expected.keys()
    for name, (outcome, words) in expected.items():
        assert [number for number, _, _ in found[name]] == [0, 1], name  # the second case, too, after a crash
        for _, what, text in found[name]:
            assert what == outcome and words in text, (name, text)
    assert kept == ["fault.txt", "fault.txt", "list.txt", "list.txt"]
    assert again[0] == again[1] != again[2]


@needs_proc
@pytest.mark.slow
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


# What the long form found


def test_a_tiff_without_rows_is_refused(tmp_path):
    path = tmp_path / "flat.tif"
    tifffile.imwrite(path, np.zeros((16, 24, 3), np.uint8), photometric="rgb", metadata=None)
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages[0].tags["ImageLength"].overwrite(0)
    with pytest.raises(ImageError, match="flat.tif is damaged .it says that it holds 24x0 pixels"):
        read_image(path)


def test_a_place_before_a_clip_s_beginning_is_an_error_s_number(tmp_path):
    (tmp_path / "clip.wmv").write_bytes(b"0123456789")
    with _Nameless(io.FileIO(tmp_path / "clip.wmv")) as file:  # an exception would be printed by PyAV
        assert file.seek(-5) < 0
        assert file.seek(5) == 5
        assert file.read(2) == b"56"


@pytest.mark.parametrize(("sides", "wider"), [(("h", "w"), 2**38), ((2**31 - 1, "w"), 0)])
def test_a_graph_that_no_memory_holds_is_refused_by_its_name(tmp_path, capfd, sides, wider):
    photo = next(photo_folder(tmp_path / "photos", 1).rglob("*.jpg"))
    places = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, *sides]) for name in ("in", "out")]
    padding = numpy_helper.from_array(np.array([0, 0, wider, 0, 0, 0, 0, 0]), "padding")
    graph = helper.make_graph([helper.make_node("Pad", ["in", "padding"], ["out"])], "g", *zip(places), [padding])
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "wide.onnx")
    words = ["infer", photo, "--model", tmp_path / "wide.onnx", "-o", tmp_path / "out.png"]
    assert_one_sentence(main(list(map(str, words))), capfd.readouterr().err, "wide.onnx", "another --model")
