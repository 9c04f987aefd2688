"""The command line: which flags go together, what words mean, and consoles of every kind."""

import io
import json
import logging
import os
import signal
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
from helpers import ROOT, assert_one_sentence, save, tiny_chain, tree
from skimage import data

from e2e_art.commands import infer, optimize, train
from e2e_art.commands import main as main_module
from e2e_art.commands.flags import check_job, number, whole
from e2e_art.commands.main import main
from e2e_art.commands.parser import Parser
from e2e_art.errors import OptionError, plural
from e2e_art.losses.options import Number
from e2e_art.models.publish import publish

COMMANDS = ("infer", "train", "optimize", "compare", "models", "masks", "serve", "export")
VALUES = ("5x", "--5", "-1", "1e3x", "nan", "inf", "-inf", "٣", "abc", "", "1_0", "9" * 20, "9" * 5000)


def parser_of(command: str) -> Parser:
    (commands,) = (action for action in main_module._parser()._actions if action.dest == "command")
    return commands.choices[command]


def flags_of(command: str) -> list:
    return [action for action in parser_of(command)._actions if action.option_strings]


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    """Runs a command in an empty folder, where it must end with one sentence and write nothing; returns that."""
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "photo.png", data.chelsea()[:40, :60])

    def run(words) -> str:
        before = tree(tmp_path)
        code = main(words.split() if isinstance(words, str) else words)
        printed = capsys.readouterr()
        assert_one_sentence(code, printed.err)
        assert printed.out == ""
        assert tree(tmp_path) == before
        return printed.err.removeprefix("e2e-art: ").strip()

    return run


# Which flags go together


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("infer photo.png -o o.png --steady", "--steady is for clips or the camera: leave it out for photos"),
        ("infer photo.png -o o.png --flicker", "--flicker is for clips or the camera: leave it out for photos"),
        ("infer photo.png -o o.png --seed 0", "--seed is for textures or doodles: leave it out for photos"),
        ("infer photo.png -o o.png --tile-check", "--tile-check is for textures: leave it out for photos"),
        ("infer a.mp4 -o o.mp4 --guided", "--guided is for photos: leave it out for clips"),
        ("infer a.mp4 -o o.mp4 --tile auto", "--tile is for photos: leave it out for clips"),
        ("infer a.mp4 -o o.mp4 --as-painted", "--as-painted is for photos: leave it out for clips"),
        ("infer a.mp4 -o o.mp4 --stages", "--stages is for photos: leave it out for clips"),
        ("infer --camera -o o.mp4 --guided", "--guided is for photos: leave it out for the camera"),
        ("infer photo.png --model monet -o o.png --keep-colors", "leave it out for doodles"),
        ("infer photo.png --model monet -o o.png --strength 1", "leave it out for doodles"),
        ("infer photo.png --model monet -o o.png --steady", "leave it out for doodles"),
        ("infer --texture brick -o o.png --denoise", "leave it out for textures"),
        ("infer --texture brick -o o.png --stages", "--stages is for photos: leave it out for textures"),
        ("infer --texture brick -o o.png --model monet", "leave it out for textures"),
        ("infer photo.png --texture brick -o o.png", "a PHOTO goes with photos, clips, doodles or --method"),
        ("infer --list -o o.png", "leave it out with --list"),
        ("infer --list --info", "--info does not go with --list: leave one out"),
        ("infer --info --strength=1", "leave it out with --info"),
        ("infer --info --model a.onnx", "--info is for trained models: leave it out for ONNX files of others"),
        ("infer photo.png --model a.onnx -o o.png --tile 9", "--tile is for trained models"),
        (
            "train --texture a.png --photos . --out o",
            "--photos goes with --style, --add-style, --any-style, --super-resolution or --decoders: leave it out",
        ),
        (
            "train --doodle a.png --mask b.png --limit 3 --out o",
            "--limit goes with --style, --add-style, --any-style, --super-resolution or --decoders: leave it out",
        ),
        ("train --texture a.png --content-weight 0 --out o", "--content-weight goes with --style"),
        ("train --style a.png --photos . --edge-jitter 1 --out o", "--edge-jitter goes with --doodle"),
        ("train --style a.png --photos . --patch-weight 1 --out o", "unknown flag '--patch-weight'"),
        ("train --style a.png --photos . --gpus 0 --cpu-devices 2 --out o", "leave one out"),
        ("optimize photo.png --style photo.png --tileable -o o.png", "--tileable goes with --texture"),
        ("optimize --texture photo.png --style photo.png -o o.png", "leave it out with --texture"),
        ("optimize photo.png --texture photo.png -o o.png", "a PHOTO is for photos: leave it out with --texture"),
        ("optimize photo.png --style photo.png --patch-layers relu1_1 -o o.png", "goes with --patch-weight"),
        ("optimize photo.png --style photo.png --seed 0 --seeds 1 -o o.png", "takes the place of --seed"),
        ("optimize photo.png --style photo.png --seeds 1 1 -o o.png", "--seeds 1 was given twice"),
        ("compare photo.png --crop 9x9 --short-edge 320", "--crop takes the place of --short-edge: leave one out"),
        ("export --web w --stage 0", "--stage goes with --onnx: leave it out with --web"),
        ("export --web w --onnx a.onnx", "--onnx does not go with --web: leave one out"),
    ],
)
def test_flags_that_do_not_go_together(said, words, says):
    assert says in said(words)


@pytest.mark.parametrize(
    ("command", "table", "every"),
    [
        (infer, infer.FLAGS, {"--method", "-h", "--list", "--info", "--verbose", "--version"}),
        (train, train.FLAGS, None),
        (optimize, optimize.FLAGS, None),
    ],
)
def test_tables_name_flags_that_there_are(command, table, every):
    flags = {action.option_strings[0] for action in flags_of(command.__name__.rpartition(".")[2])}
    assert table.keys() - {"PHOTO"} <= flags
    if every is not None:
        assert flags - table.keys() == every  # a new flag says what it is for


def test_jobs():
    check_job(["--a", "--b"], "one", {"--a": ("one", "two")})
    with pytest.raises(OptionError, match="^--a is for one, two or three: leave it out for four$"):
        check_job(["--b", "--a"], "four", {"--a": ("one", "two", "three")})
    with pytest.raises(OptionError, match="^--a goes with --b: leave it out with --c$"):
        check_job(["--a"], "--c", {"--a": ("--b",)})


# What words mean


@pytest.mark.parametrize("command", COMMANDS)
def test_numbers_that_are_none(command):
    words = {"infer": ["a.png"], "compare": ["a.png"], "optimize": ["-o", "o.png"], "train": ["--out", "o"]}
    words |= {"masks": ["--preview", "o.png"], "export": ["--onnx", "o.onnx"]}
    parser, tried = main_module._parser(), 0
    for action in flags_of(command):
        if action.metavar not in ("N", "X", "K", "EDGE") or action.dest == "camera":
            continue
        takes_large = action.metavar == "X"
        for value in VALUES[: -2 if takes_large else None]:
            with pytest.raises(OptionError) as refused:
                parser.parse_args([command, *words.get(command, ()), action.option_strings[0], value])
            assert str(refused.value).startswith(f"{action.option_strings[0]} takes a")
            assert str(refused.value).endswith(f", not '{value}'")
            tried += 1
    assert tried or command == "models"


@pytest.mark.parametrize(
    ("reader", "text", "value"),
    [
        (whole(), "0", 0),
        (whole(), "2147483647", 2**31 - 1),
        (whole(), "2147483648", "a whole number from 0 to 2147483647"),
        (whole(1, 256), "256", 256),
        (whole(1, 256), "257", "a whole number from 1 to 256"),
        (whole(auto=None), "auto", None),
        (whole(auto=None), "car", "a whole number of 0 or more or auto"),
        (number(Number(float, 0, 2)), "2", 2.0),
        (number(Number(float, 0, 2)), "1e-3", 0.001),
        (number(Number(float, 0, 2)), "2.1", "a number from 0 to 2"),
        (number(Number(float, above=True)), "0", "a number above 0"),
        (number(Number(float)), "1e999", "a number of 0 or more"),
    ],
)
def test_numbers(reader, text, value):
    parser = Parser(prog="test")
    parser.add_argument("--n", type=reader)
    if isinstance(value, str):
        with pytest.raises(OptionError) as refused:
            parser.parse_args(["--n", text])
        assert str(refused.value) == f"--n takes {value}, not '{text}'"
    else:
        assert parser.parse_args(["--n", text]).n == value


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("", "COMMAND is missing"),
        ("paint", "unknown command 'paint': choose infer, train, "),
        ("--verbose infer", "unknown flag '--verbose': flags stand after the command"),
        ("infer --stren 1", "unknown flag '--stren': did you mean --strength?"),
        ("infer --stage 1 --sta 2", "unknown flag '--sta': did you mean --stage or --stages?"),
        ("infer --qwerty", "unknown flag '--qwerty': see e2e-art infer --help"),
        ("infer -x", "unknown flag '-x'"),
        ("infer photo.png -o", "-o takes a value: write one after it"),
        ("infer photo.png --model --steady", "--model takes a value: write one after it"),
        ("infer photo.png --seed -o o.png", "--seed takes a value"),
        ("infer photo.png --steady=1", "--steady takes no value: leave '1' out"),
        ("infer photo.png --engine gpu", "unknown --engine 'gpu': choose auto, onnx, mxnet or torch"),
        ("infer photo.png --denoise abc -o o.png", "--denoise takes a number of 0 or more, not 'abc'"),
        ("infer --camera abc -o o.mp4", "--camera takes a camera's number, such as 0, or its address, not 'abc'"),
        (
            "infer --camera photo.png -o o.mp4",
            "a PHOTO goes with photos, clips, doodles or --method: leave it out for the camera",
        ),
        ("compare --model monet photo.png", "PHOTO is missing: it stands before --model, which takes every word after"),
        ("compare", "PHOTO is missing: e2e-art compare PHOTO..."),
        ("optimize --style a.png photo.png -o o.png", "PHOTO stands before --style, which takes every word after it"),
        ("optimize photo.png", "-o is missing: e2e-art optimize PHOTO"),
        ("serve extra", "'extra' is one word too many: see e2e-art serve --help"),
        ("export", "Say --onnx or --web: e2e-art export"),
        ("export --onnx . --model monet", "--onnx takes a file's name that ends in .onnx, not '.'"),
        ("train --style a.png --photos . --out o --resume", "There is no training to resume in o.training"),
        ("train --style a.png --photos . --out /", "--out takes the name of a new folder"),
        ("infer photo.png -o o.png --model ./starry_nite", "There is no model './starry_nite': shipped are"),
        ("infer photo.png -o o.png --model night", "There is no model 'night': shipped are"),
        ("infer photo.png -o o.png --model Stary_Night", "did you mean starry_night?"),
        ("infer --texture brick --seed 1 2 -o -", "--seed makes 2 pictures, too many for one stream"),
        ("infer --texture brick --seed 1 1 -o o.png", "--seed 1 was given twice"),
        ("infer --texture brick -o .", ". is a folder: give -o a file's name"),
        ("--print-completion cmd", "unknown --print-completion 'cmd': choose bash"),
    ],
)
def test_words_that_make_no_sense(said, words, says):
    assert says in said(words)


def parsed(words: str):
    return main_module._parser().parse_args(words.split())


@pytest.mark.parametrize(
    "words", ["--denoise a.png", "a.png --denoise", "--denoise -o o.png a.png", "--denoise -- a.png"]
)
def test_a_flag_with_an_optional_value_leaves_the_photo(words):
    flags = parsed(f"infer {words}")
    assert (flags.photos, flags.denoise) == (["a.png"], 0.02)


def test_photos_stand_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "holiday").mkdir()
    flags = parsed("infer --seed 1 2 a.png --model monet b.png --denoise .5 holiday/ -oo.png --strength=1 *.jpg -")
    assert flags.photos == ["a.png", "b.png", "holiday/", "*.jpg", "-"]
    assert (flags.seed, flags.denoise, flags.out) == ([1, 2], 0.5, "o.png")
    assert flags.given == ["--seed", "--model", "--denoise", "-o", "--strength", "PHOTO"]
    assert parsed("infer --denoise holiday").photos == ["holiday"]  # it is there
    assert parsed("infer --camera rtsp://10.0.0.1/a.mp4").photos == []
    assert parsed("infer -o o.png -- --steady").photos == ["--steady"]
    assert parsed("train --out o --style a.png b.png --photos .").style == ["a.png", "b.png"]


def test_plurals():
    assert [plural(count, "stage") for count in (0, 1, 2)] == ["0 stages", "1 stage", "2 stages"]
    assert [plural(count, "file was", "files were") for count in (1, 2)] == ["1 file was", "2 files were"]


@pytest.mark.parametrize("script", [["infer.py"], ["train.py"], ["-m", "e2e_art", "export"]])
def test_scripts_have_a_version(script):
    done = subprocess.run([sys.executable, *script, "--version"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("e2e-art ")


def test_help_needs_nothing_else(capsys):
    with pytest.raises(SystemExit):
        main(["compare", "--model", "monet", "--help"])
    assert "usage: e2e-art compare PHOTO..." in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completion(shell, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--print-completion", shell])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    for word in ("infer", "export", "strength", "starry_night", "brick"):
        assert word in text


def test_completion_in_bash(tmp_path):
    (tmp_path / "photo.jpg").touch()
    script = """
    source <("$0" -m e2e_art --print-completion bash); cd "$1"
    for words in "infer --model star" "infer --texture br" "infer ph" "infer -o ph" "infer --stren" "tra"; do
        COMP_WORDS=(e2e-art $words); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _shtab_e2e_art; echo "${COMPREPLY[@]}"
    done"""
    command = ["bash", "-c", script, sys.executable, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.split("\n") == ["starry_night", "brick", "photo.jpg", "photo.jpg", "--strength", "train", ""]


# Textures and doodles: what is written is said, and streams


def test_a_texture_into_a_stream_and_a_doodle_out_of_one(tmp_path, monkeypatch, capsysbinary):
    assert main(["infer", "--texture", "brick", "--size", "40x24", "--tile-check", "-o", "-"]) == 0
    said = capsysbinary.readouterr()
    assert said.out.startswith(b"\x89PNG")
    assert b"standard output: 40x24 painted in " in said.err
    assert b"standard output: neighbors differ by " in said.err
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(said.out)))
    assert main(["infer", "-", "--model", "monet", "-o", "-"]) == 2  # brick has none of its colors
    assert b"standard input has none of the colors" in capsysbinary.readouterr().err
    doodle = save(tmp_path / "doodle.png", np.full((16, 24, 3), (0, 0, 255), np.uint8))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(doodle.read_bytes())))
    out = tmp_path / "out.png"
    assert main(["infer", "--seed", "3", "-", "--model", "monet", "-o", str(out)]) == 0
    assert f"{out}: 24x16 painted in ".encode() in capsysbinary.readouterr().err


# Consoles


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "one"
    publish(tiny_chain(stages=1), folder, {})
    return folder


def python(*words, before="", **options) -> subprocess.CompletedProcess:
    """Runs a command in a shell, where its streams can be closed; `before` sets the environment."""
    command = " ".join(f"'{word}'" if word not in (">&-", "2>&-", "<&-") else word for word in map(str, words))
    line = f"{before} '{sys.executable}' -m e2e_art {command}"
    return subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, timeout=120, **options)


@pytest.mark.parametrize("before", ["PYTHONIOENCODING=cp1252", "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0"])
def test_names_that_a_console_does_not_have(model, tmp_path, before):
    names = ["é.png", "写真.png", "▀.png"]
    for name in names:
        save(tmp_path / "in" / name, data.chelsea()[:9, :9])
    (tmp_path / "in" / "坏.png").write_text("no picture")
    done = python("infer", tmp_path / "in", "--model", model, "-o", tmp_path / "出", "--stages", before=before)
    assert done.returncode == 0, done.stderr
    assert b"3 painted" in done.stderr
    assert b"Traceback" not in done.stderr
    assert {name for name in names if (tmp_path / "出" / name).exists()} == set(names)


def test_streams_that_are_closed(model, tmp_path):
    photo = save(tmp_path / "photo.png", data.chelsea()[:9, :9])
    out = tmp_path / "out.png"
    assert python("infer", photo, "--model", model, "-o", out, ">&-", "2>&-").returncode == 0
    assert out.exists()
    done = python("infer", photo, "--model", model, "-o", "-", ">&-")
    assert_one_sentence(done.returncode, done.stderr.decode().splitlines()[-1], "Standard output is closed")
    done = python("infer", "-", "--model", model, "-o", tmp_path / "b.png", "<&-")
    assert_one_sentence(done.returncode, done.stderr.decode(), "Standard input is closed")
    assert python("infer", "nowhere.png", "-o", "o.png", "2>&-").returncode == 2


def test_warnings_go_to_the_log(tmp_path, monkeypatch, capfd):
    photo = save(tmp_path / "photo.png", data.chelsea()[:9, :9])

    def warn(*arguments):
        warnings.warn("an old way", DeprecationWarning, stacklevel=1)
        logging.getLogger("tifffile").error("an odd tag")

    monkeypatch.setattr(infer, "paint_photos", warn)
    root = logging.getLogger()
    for words, shown in (([], False), (["--verbose"], True)):
        with monkeypatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("always")
            patch.setattr(root, "handlers", [])
            patch.setattr(logging, "_warnings_showwarning", None)
            assert main(["infer", str(photo), "-o", "o.png", *words]) == 0
            said = capfd.readouterr().err
            assert ("an old way" in said, "an odd tag" in said) == (shown, shown)


def test_a_reader_that_goes_away_hears_nothing_more(model):
    for words in ("infer --help", "infer --list", f"models {model}"):
        line = f"'{sys.executable}' -m e2e_art {words} | true"
        done = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, timeout=60)
        assert done.stderr == b""


def test_sigterm_leaves_the_best_picture(tmp_path):
    photo, out = save(tmp_path / "photo.png", data.chelsea()[:40, :60]), tmp_path / "out.png"
    words = ["optimize", photo, "--style", photo, "--start", "noise", "--steps", "9999", "--tolerance", "0"]
    words += ["--size", "48", "--scales", "1", "--every", "1", "-o", out]
    command = [sys.executable, "-m", "e2e_art", *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as running:
        deadline = time.monotonic() + 100
        while not (tmp_path / "out_step-00001.png").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        running.terminate()
        error = running.communicate(timeout=60)[1]
    assert running.returncode == 143, error
    assert b"Traceback" not in error
    assert out.exists()


def test_signals_end_a_command_with_their_own_code(monkeypatch):
    for came, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):

        def interrupted(came=came):
            os.kill(os.getpid(), came)
            time.sleep(5)  # another thread may take the signal; this one answers it a moment later

        monkeypatch.setattr(infer, "describe_models", interrupted)
        before = signal.getsignal(signal.SIGTERM)
        assert main(["infer", "--list"]) == code
        assert signal.getsignal(signal.SIGTERM) == before


def test_a_finished_training_is_not_resumed(said, tmp_path):
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / "model.json").write_text(json.dumps({}))
    assert "o is trained to its end: leave --resume out" in said("train --style a --photos . --out o --resume")


@pytest.mark.parametrize("word", ["--5", "-5", "--inf"])
def test_a_number_without_its_flag_is_no_photo(word, capsys):
    assert_one_sentence(
        main(["infer", "photo.png", word, "-o", "b.png"]), capsys.readouterr().err, "unknown flag", word[:2]
    )


def test_guided_and_as_painted_contradict_each_other(tmp_path, capsys):
    photo = save(tmp_path / "photo.png", data.coffee()[:40, :60])
    words = ["infer", photo, "--guided", "--as-painted", "--size", 30, "-o", tmp_path / "out.png"]
    assert_one_sentence(main(list(map(str, words))), capsys.readouterr().err, "--guided", "--as-painted", "choose one")
    assert not (tmp_path / "out.png").exists()


def test_a_photo_is_no_drawing(tmp_path, capsys):
    photo = save(tmp_path / "photo.png", data.coffee()[:40, :60])
    code = main(["infer", str(photo), "--model", "monet", "-o", str(tmp_path / "out.png")])
    assert_one_sentence(code, capsys.readouterr().err, "photo.png has", "the colors that monet paints", "draw with #")
    assert not (tmp_path / "out.png").exists()


def test_sides_that_no_memory_holds(capsys):
    code = main(["infer", "--texture", "brick", "--size", "12345678901234567890x100", "-o", "out.png"])
    assert_one_sentence(code, capsys.readouterr().err, "choose smaller sides")
