"""What README and documents promise, run or looked up: commands, flags, programs, links, paths, figures."""

import json
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from helpers import tiny_upscaler
from skimage import data

import e2e_art
from e2e_art import load_doodle, load_texture
from e2e_art.images.io import read_image, write_image
from e2e_art.models.folder import list_models, read_model
from e2e_art.models.onnx_file import onnx_file
from e2e_art.painting.noise import seam

TOP = Path(__file__).parent.parent
README = (TOP / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [TOP / "README.md", TOP / "CONTRIBUTING.md", TOP / "CHANGELOG.md", TOP / "benchmarks" / "README.md"]
DOCUMENTS += sorted((TOP / "docs").glob("**/*.md"))
TODAY = [path for path in DOCUMENTS if path.parent.name != "experiments" and path.name != "CHANGELOG.md"]  # no history
GONE = ("benchmarks/gpu_training.py", "benchmarks/torch_networks.py")  # which records and the history name
NOT_SHIPPED = (".*", "__pycache__", "*.egg-info", "build", "dist", "demo", "*.training")


def name_of(path: Path) -> str:
    return path.relative_to(TOP).as_posix()


def code_blocks(language: str, text: str) -> list[str]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)
    return [block for name, block in blocks if name == language]


def run(*command: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **options)


def test_the_readme_is_short():
    assert len(README.encode()) < 9000


def test_python_example_runs_as_printed(tmp_path, monkeypatch):
    write_image(tmp_path / "photo.jpg", data.chelsea())
    monkeypatch.chdir(tmp_path)
    (example,) = code_blocks("python", README)
    names: dict = {}
    exec(example, names)
    painting = read_image(tmp_path / "painting.png")
    assert painting.shape == data.chelsea().shape
    assert len(names["stages"]) == 4
    assert np.array_equal(names["stages"][-1], painting)
    far, near = (np.abs(image.astype(int) - names["photo"]).mean() for image in (painting, read_image("gentle.png")))
    assert near < far  # strength 0.6 stays nearer to the photo


def test_python_example_of_the_page_of_deployment_runs_as_printed(tmp_path, monkeypatch):
    (code,) = code_blocks("python", (TOP / "docs" / "deploy.md").read_text(encoding="utf-8"))
    (tmp_path / "starry_night.onnx").write_bytes(onnx_file(read_model("starry_night")))
    photo = data.rocket()[100:180, 200:300]
    write_image(tmp_path / "photo.png", photo)
    monkeypatch.chdir(tmp_path)
    exec(code.replace("photo.jpg", "photo.png"), {})
    painting = read_image(tmp_path / "painting.png").astype(int)
    assert np.abs(painting - e2e_art.load("starry_night")(photo)).max() <= 1


def test_python_example_of_the_page_of_upscaling_runs_as_printed(tmp_path, monkeypatch):
    (code,) = code_blocks("python", (TOP / "docs" / "upscale.md").read_text(encoding="utf-8"))
    write_image(tmp_path / "photo.jpg", data.rocket()[100:180, 200:300])
    monkeypatch.chdir(tmp_path)
    exec(code.replace('"photo_x4"', repr(str(tiny_upscaler(tmp_path / "photo_x4")))), {})
    assert read_image(tmp_path / "large.jpg").shape == (320, 400, 3)


def test_every_other_program_in_a_document_is_one_that_a_test_runs():
    holders = [name_of(path) for path in DOCUMENTS if code_blocks("python", path.read_text(encoding="utf-8"))]
    assert holders == ["README.md", "docs/deploy.md", "docs/upscale.md"]


COMMANDS = ("infer", "train", "optimize", "compare", "models", "masks", "serve", "export")
CALL = re.compile(rf"(?:python |e2e-art |-m e2e_art )({'|'.join(COMMANDS)})(?:\.py)?\b(.*)")


@cache
def flags_of(command: str) -> set[str]:
    """Returns all flags that a command's help names."""
    text = run(sys.executable, "-m", "e2e_art", command, "--help", cwd=TOP).stdout
    return set(re.findall(r"--[a-z0-9-]+", text))


def calls(text: str) -> list[tuple[str, set[str]]]:
    """Returns each command in the code blocks of a document, with the flags that it is given there."""
    blocks = "".join(code_blocks("", text)).replace("\\\n", " ")
    found = [match for line in blocks.splitlines() if (match := CALL.search(line.partition("  #")[0]))]
    return [(match[1], set(re.findall(r"(?<!\S)--[a-z0-9-]+", match[2]))) for match in found]


@pytest.mark.parametrize("path", TODAY, ids=name_of)
def test_every_flag_of_a_command_in_a_document_exists(path):
    for command, used in calls(path.read_text(encoding="utf-8")):
        assert used <= flags_of(command), f"{command} has no {used - flags_of(command)}"


def test_the_readme_shows_flags_of_each_command_that_has_them_to_show():
    assert {command for command, used in calls(README) if used} == set(COMMANDS) - {"models", "masks"}


@pytest.mark.parametrize("path", TODAY, ids=name_of)
def test_every_flag_in_backquotes_is_one_of_some_command(path):
    if path.parent.name == "benchmarks":
        return  # these have flags of their own
    known = set().union(*map(flags_of, COMMANDS))
    used = set(re.findall(r"`(--[a-z0-9-]+)", path.read_text(encoding="utf-8")))
    assert used <= known, f"no command has {used - known}"


@pytest.mark.parametrize("path", TODAY, ids=name_of)
def test_make_targets_of_a_document_exist(path):
    rules = set(re.findall(r"^([a-z-]+):", (TOP / "Makefile").read_text(), re.M))
    text = path.read_text(encoding="utf-8")
    used = {name for pair in re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", text, re.M) for name in pair if name}
    assert used <= rules, f"the Makefile has no {used - rules}"


def test_the_readme_begins_with_make():
    assert {"demo", "web", "test"} <= set(re.findall(r"^make ([a-z-]+)", README, re.M))


def anchors(path: Path) -> set[str]:
    """Returns what links can point to within a document, as GitHub names its headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_link_of_a_document_leads_somewhere(path):
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if re.match(r"https?://", target):
            continue
        file, _, anchor = target.partition("#")
        there = path.parent / file if file else path
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=name_of)
def test_every_path_in_a_document_exists(path):
    text = path.read_text(encoding="utf-8")
    for named in re.findall(r"(?<![\w./])((?:e2e_art|tests|benchmarks|examples|docs|pretrained)/[\w./-]*)", text):
        is_there = (TOP / named.rstrip(".")).exists() or named in GONE
        assert is_there or "NAME" in named, named  # which stands for what a reader chooses


def test_every_page_is_linked_from_another():
    texts = {path: path.read_text(encoding="utf-8") for path in DOCUMENTS}
    linked = {
        (path.parent / target.partition("#")[0]).resolve()
        for path, text in texts.items()
        for target in re.findall(r"\]\(([^)\s]+)\)", text)
    }
    assert [name_of(path) for path in DOCUMENTS[1:] if path.resolve() not in linked] == []


def test_validation_figures_are_those_of_the_record():
    record = read_model("starry_night").record
    quality = (TOP / "docs" / "quality.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| stage (\d) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", quality, re.M)
    assert len(rows) == 4
    for (stage, total, style, content), result in zip(rows, record["validation"]):
        assert int(stage) == result["stage"]
        assert float(total) == pytest.approx(result["total"], abs=0.006)
        assert float(style) == pytest.approx(result["style"] / 20, abs=0.0006)
        assert float(content) == pytest.approx(result["content"], abs=0.006)


def test_the_defaults_in_the_documents_are_those_of_the_code():
    from e2e_art.training.options import TrainingOptions

    options = TrainingOptions(styles=("painting.jpg",), photos="photos")
    recipe, training = ((TOP / "docs" / name).read_text(encoding="utf-8") for name in ("recipe.md", "train.md"))
    for flag, values in (
        ("--steps", options.steps),
        ("--size", options.sizes),
        ("--residual-weight", [stage["residual_weight"] for stage in options.generators()]),
        ("--style-boost", options.style_boosts),
    ):
        row = f"| `{flag}` | {' '.join(f'{value:g}' for value in values)} |"
        assert row in recipe
        assert row in training or flag == "--style-boost"


def test_shipped_model_meets_its_bars():
    record = read_model("starry_night").record
    totals = [result["total"] for result in record["validation"]]
    assert record["validation_photos"] == 24
    assert all(after < before for before, after in zip(totals, totals[1:])), "every stage lowers the loss"
    assert totals[-1] <= 1.827, "where 20 evaluations of L-BFGS stand: docs/quality.md"
    assert record["validation"][-1]["style"] / 20 <= 0.08


def test_infer_and_models_need_no_mxnet(tmp_path):
    """The base install paints: MXNet is made impossible to import, as where it is not installed."""
    blocker = tmp_path / "sitecustomize.py"
    blocker.write_text("import sys\nsys.modules['mxnet'] = None\n")
    photo = tmp_path / "rocket.jpg"
    write_image(photo, data.rocket()[:120, :160])
    environment = {"PYTHONPATH": f"{tmp_path}:{TOP}", "PATH": "/usr/bin:/bin"}
    out = tmp_path / "out.png"
    done = run(
        sys.executable, str(TOP / "infer.py"), str(photo), "--stages", "-o", str(out), env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.glob("out*")) == [
        "out.png",
        "out_sheet.jpg",
        *(f"out_stage-{stage}.png" for stage in range(4)),
    ]
    assert "painted in" in done.stderr


@pytest.mark.slow
def test_an_installed_package_finds_the_shipped_models(tmp_path):
    """`pip install .` installs pretrained/, too, so that the command works from any folder."""
    source = tmp_path / "source"
    shutil.copytree(TOP, source, ignore=shutil.ignore_patterns(*NOT_SHIPPED))
    target = tmp_path / "site"
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    done = run(sys.executable, "-m", "pip", "install", *options, "--target", str(target), str(source))
    assert done.returncode == 0, done.stderr
    listing = run(sys.executable, "-m", "e2e_art", "models", env={"PYTHONPATH": str(target)}, cwd=tmp_path)
    assert listing.returncode == 0, listing.stderr
    assert "starry_night" in listing.stdout
    description = json.loads((target / "e2e_art" / "pretrained" / "starry_night" / "model.json").read_text())
    assert description["name"] == "starry_night"


def test_the_gallery_shows_every_shipped_model_with_the_figures_of_its_record():
    gallery = (TOP / "docs" / "gallery.md").read_text(encoding="utf-8")
    for model in shipped("chain"):
        (section,) = (part for part in gallery.split("\n## ") if part.startswith(f"{model.title}\n"))
        totals = " → ".join(f"{stage['total']:.2f}" for stage in model.record["validation"])
        assert f"{model.record['validation_photos']} photos: {totals} " in section
        assert f"--model {model.name} " in section
        picture = read_image(TOP / "docs" / "pictures" / f"gallery_{model.name}.jpg")
        assert picture.shape[1] > 3 * 320


def test_the_page_of_enlarged_pictures_shows_every_shipped_upscaler_in_a_megabyte():
    page = (TOP / "docs" / "upscaled.md").read_text(encoding="utf-8")
    upscalers = shipped("upscaler")
    assert page.count("\n## ") == len(upscalers)
    for model in upscalers:
        (section,) = (part for part in page.split("\n## ") if part.startswith(f"{model.name}\n"))
        figures = " → ".join(f"{stage['psnr']:.2f}" for stage in model.record["validation"])
        assert f"{model.record['validation_photos']} others: {figures} dB" in section
        assert f"--upscale {model.name} " in section
    pictures = sorted((TOP / "docs" / "pictures").glob("upscaled_*.jpg"))
    assert [path.stem for path in pictures] == sorted(f"upscaled_{model.name}" for model in upscalers)
    assert sum(path.stat().st_size for path in pictures) < 1e6


def test_what_is_shipped_is_small_and_each_stage_lowers_the_loss():
    for model in list_models():
        assert sum(path.stat().st_size for path in model.folder.iterdir()) <= 6e6
        stages = model.record["validation"]
        if model.kind.mixes:  # stage 1 is nearer than the first in what a network sees, the last pays for it in pixels
            assert stages[0]["feature"] > stages[1]["feature"] and stages[0]["psnr"] > stages[-1]["psnr"]
        else:
            totals = [stage["total"] for stage in stages]
            assert totals == sorted(totals, reverse=True)


def shipped(kind: str) -> list:
    return [model for model in list_models() if model.kind.name == kind]


@pytest.mark.slow
def test_three_textures_are_shipped_that_tile_and_differ_by_seed():
    textures = shipped("texture")
    assert len(textures) == 3
    for model in textures:
        painter = load_texture(model.folder)
        one, other = painter(160, 192, seed=1), painter(160, 192, seed=2)
        across, within, most = seam(one)
        assert within / 2 < across < most
        assert np.abs(one.astype(int) - other).mean() > 10
        assert model.record["validation"][-1]["diversity"] > 0.5


@pytest.mark.slow
def test_three_doodles_are_shipped_and_their_page_shows_them():
    page = (TOP / "docs" / "textures.md").read_text(encoding="utf-8")
    doodles = shipped("doodle")
    assert len(doodles) == 3
    for model in doodles:
        assert f"](pictures/painted_{model.name}.jpg)" in page
        assert (TOP / "docs" / "pictures" / f"painted_{model.name}.jpg").is_file()
        drawings = sorted((TOP / "docs" / "doodles").glob(f"{model.name}_*.png"))
        assert len(drawings) == 2
        painter, drawing = load_doodle(model.folder), read_image(drawings[0])
        one, other = painter(drawing, seed=1).astype(int), painter(drawing, seed=2).astype(int)
        assert one.shape == drawing.shape
        assert 1 < np.abs(one - other).mean() < np.abs(one - one.mean(axis=(0, 1))).mean()  # the scene stays


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_names_in_the_documents_for_developers_exist_in_the_code(document):
    sources = [
        *(TOP / "e2e_art").glob("**/*.py"),
        *(TOP / "tests").glob("*.py"),
        TOP / "Makefile",
        TOP / "pyproject.toml",
    ]
    known = set(re.findall(r"\w+", "\n".join(path.read_text(encoding="utf-8") for path in sources)))
    named = set(re.findall(r"`([A-Za-z_][\w.]*)(?:\([^`]*\))?`", (TOP / document).read_text(encoding="utf-8")))
    assert len(named) > 20
    assert {name for name in named if name.split(".")[-1] not in known} == set()
