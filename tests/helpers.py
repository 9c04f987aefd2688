"""What several test files make: photos, a painting, a tiny model, and real processes."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from skimage import data

from e2e_art.images.arrays import to_vgg_space
from e2e_art.losses.options import LossOptions
from e2e_art.machine import bfloat16_is_fast
from e2e_art.models.folder import NOISE_FILE
from e2e_art.networks.inputs import noise_tile

if TYPE_CHECKING:  # what needs an engine is imported where it is used: most tests need none
    from e2e_art.networks.chain import Chain

ROOT = Path(__file__).resolve().parent.parent
TINY = {"kind": "pyramid", "channels": [16, 8], "blocks": [1, 1], "details": 4}
AUTOENCODER = [{"kind": "student", "width": 16}, *({"kind": "decoder", "level": k, "width": 16} for k in (1, 2, 3, 4))]

needs_bfloat16 = pytest.mark.skipif(not bfloat16_is_fast(), reason="this processor has no bfloat16")

# Runs a command with files limited to so many bytes: to the program, a disk that fills.
FULL_DISK = """
import resource, runpy, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def save(path: Path, array, mode: str | None = None, **options) -> Path:
    """Writes an array or a Pillow image as a picture file; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = array if isinstance(array, Image.Image) else Image.fromarray(np.asarray(array))
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def pixels(path: Path) -> np.ndarray:
    """Returns a picture file as it is, (H, W, 3) of int."""
    return np.array(Image.open(path).convert("RGB")).astype(int)


def photo_folder(folder: Path, count: int = 8) -> Path:
    """Writes real photos, small crops of four, into a tree of folders."""
    sources = (data.astronaut(), data.coffee(), data.chelsea(), data.rocket())
    for number in range(count):
        top, left = 7 * number, 11 * number
        crop = sources[number % 4][top : top + 90, left : left + 120]
        save(folder / "ab"[number % 2] / f"{number:03}.jpg", crop, quality=95)
    return folder


def painting(path: Path) -> Path:
    """Writes something with strokes and strong colors to paint like."""
    return save(path, data.immunohistochemistry()[:96, :128])


def tiny_chain(seed: int = 3, stages: int = 4) -> Chain:
    """Returns a small random chain."""
    from e2e_art.engines.gluon import cpu
    from e2e_art.networks.chain import Chain

    chain = Chain([TINY] * stages)
    chain.draw_weights(seed, [cpu()])
    return chain


def tiny_model(folder: Path) -> Path:
    """Publishes a small random chain of four stages, with a painting's statistics; returns its folder."""
    from e2e_art.losses.style_target import StyleTarget
    from e2e_art.models.publish import publish

    targets = StyleTarget.of(LossOptions(), [to_vgg_space(data.immunohistochemistry()[:64, :64])])
    record = {"command": "e2e-art train --style waves.jpg", "photos": 12, "seconds": 34, "versions": {"mxnet": "1.9.1"}}
    record["validation"] = [{"stage": stage, "total": 3.5 - stage / 2} for stage in range(4)]
    publish(tiny_chain(), folder, record, {"style.npz": targets.save()})
    return folder


def tiny_multistyle(folder: Path, styles: Sequence[str] = ("waves", "the_scream", "udnie"), seed: int = 3) -> Path:
    """Publishes a small random chain of several styles, which differ, with a thumbnail of each but the last one."""
    from e2e_art.engines.gluon import cpu
    from e2e_art.images.io import encode_image
    from e2e_art.models.folder import style_thumbnail
    from e2e_art.models.publish import publish
    from e2e_art.networks.styled import MultiStyleChain

    chain = MultiStyleChain([{**TINY, "styles": len(styles)}] * 2)
    chain.draw_weights(seed, [cpu()])
    random = np.random.RandomState(seed)
    for stage in range(2):
        weights = chain.stage_weights(stage)
        drawn = random.normal(0.5, 0.5, weights["styles"].shape).astype(np.float32)
        chain.set_stage_weights(stage, {**weights, "styles": drawn})
    thumbnails = (random.randint(0, 256, (64, 96, 3)).astype(np.uint8) for _ in styles[1:])
    extras = {style_thumbnail(style): encode_image(each, ".jpg") for style, each in enumerate(thumbnails)}
    record = {"command": "by hand", "styles": [{"file": f"{style}.jpg"} for style in styles]}
    publish(chain, folder, record, extras)
    return folder


def tiny_anystyle(folder: Path, seed: int = 3) -> Path:
    """Publishes a small chain of any style, which writes random styles of what it sees; returns its folder."""
    from e2e_art.engines.gluon import cpu
    from e2e_art.models.publish import publish
    from e2e_art.networks.autoencoder import Autoencoder
    from e2e_art.networks.styled import AnyStyleChain
    from e2e_art.painting.describe import described_size
    from e2e_art.training.describing import fit_describer

    chain, random = AnyStyleChain([{**TINY, "described": 6, "hidden": 5}] * 2), np.random.RandomState(seed)
    chain.draw_weights(seed, [cpu()])
    student = Autoencoder(AUTOENCODER)
    student.draw_weights(seed, [cpu()])
    seen = [data.rocket(), data.coffee(), data.chelsea(), data.immunohistochemistry(), data.astronaut()]
    fit_describer(chain.describer, student.stage_weights(0), (to_vgg_space(described_size(each)) for each in seen))
    for stage in range(2):
        weights = chain.stage_weights(stage)
        drawn = random.uniform(-0.3, 0.3, weights["vector_weight"].shape).astype(np.float32)
        chain.set_stage_weights(stage, {**weights, "vector_weight": drawn})
    publish(chain, folder, {"command": "by hand", "photos": 3, "paintings": 5})
    return folder


def tiny_upscaler(folder: Path, factor: int = 4, stages: int = 2, seed: int = 3, **form) -> Path:
    """Publishes a small upscaler of random weights, whose stages differ; returns its folder.

    form: arguments of its network, a shallow compact one by default.
    """
    from e2e_art.engines.gluon import cpu
    from e2e_art.models.publish import publish
    from e2e_art.networks.chain import UpscaleChain
    from e2e_art.networks.layers import xavier

    form = form or {"kind": "compact", "channels": 8, "depth": 2}
    chain = UpscaleChain([{**form, "factor": factor}] * stages)
    chain.initialize([cpu()])
    random = np.random.RandomState(seed)
    for stage in range(stages):
        weights = chain.stage_weights(stage)
        drawn = {name: xavier(weight.shape, random) for name, weight in weights.items() if weight.ndim == 4}
        chain.set_stage_weights(stage, {**weights, **drawn})
    publish(chain, folder, {"command": "e2e-art train --super-resolution", "photos": 3, "seconds": 60})
    return folder


def value_and_gradient(function, x) -> tuple[np.ndarray, np.ndarray]:
    """Returns what a function makes of an array, and the gradient of its sum."""
    from e2e_art.engines.gluon import array, autograd, to_numpy

    x = autograd.watch(array(x))
    with autograd.record():
        value = function(x)
    autograd.backward([value], [x])
    return to_numpy(value), to_numpy(autograd.gradient(x))


def old_model(folder: Path) -> Path:
    """Writes a small random model of format 1, as it was published before there was another; returns its folder."""
    shutil.copytree(ROOT / "tests" / "data" / "format_1" / "tiny", folder)
    (folder / NOISE_FILE).write_bytes(noise_tile().tobytes())  # the same in every model, and large
    return folder


def changed_model(model: Path, target: Path, **entries) -> Path:
    """Copies a model, with other entries in its model.json."""
    target.mkdir(parents=True)
    for file in model.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    edit_description(target, **entries)
    return target


def edit_description(model: Path, **entries) -> None:
    """Changes entries of a model.json, and seals it anew; those that become None go."""
    path = model / "model.json"
    description = {**json.loads(path.read_text()), **entries}
    description = {key: value for key, value in description.items() if value is not None and key != "seal"}
    seal = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps({**description, "seal": seal}))


def forge(folder: Path, **contents: bytes) -> None:
    """Replaces files of a model, and lets its model.json vouch for them; "_" in a name stands for a dot."""
    files = json.loads((folder / "model.json").read_text())["files"]
    for name, content in contents.items():
        name = name.replace("_", ".")
        (folder / name).write_bytes(content)
        files[name] = hashlib.sha256(content).hexdigest()
    edit_description(folder, files=files)


def process(*words, **options) -> subprocess.CompletedProcess:
    """Runs a Python script of the checkout as people do, in a process of its own; output is bytes."""
    command = [sys.executable, str(ROOT / str(words[0])), *map(str, words[1:])]
    return subprocess.run(command, capture_output=True, timeout=300, **{"cwd": ROOT, **options})


def on_full_disk(limit: int, *words) -> subprocess.CompletedProcess:
    """Runs a script of the checkout where no file can grow beyond `limit` bytes."""
    command = [sys.executable, "-c", FULL_DISK, str(limit), str(ROOT / words[0]), *map(str, words[1:])]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, capture_output=True, timeout=300, cwd=ROOT, env=environment)


def tree(folder: Path) -> dict[str, bytes | None]:
    """Returns all that lies in a folder, hidden or not, by relative path; folders have no content."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def assert_one_sentence(code: int, error: str, *parts: str) -> None:
    """Checks what every mishap promises: exit code 2, and one line that holds the parts, without a traceback."""
    assert code == 2, error
    assert "Traceback" not in error
    lines = error.strip().splitlines()
    assert len(lines) == 1, error
    assert lines[0].startswith("e2e-art: ")
    for part in parts:
        assert str(part) in lines[0]
