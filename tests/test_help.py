"""What `--help` says: readable for people, complete, and in the field's words."""

import argparse
import logging
import re

import pytest

from e2e_art import __version__
from e2e_art.commands.flags import add_flags, check_free, gather, parse_edge, parse_size
from e2e_art.commands.main import main
from e2e_art.errors import OptionError
from e2e_art.losses.options import LossOptions, flag_of

COMMANDS = ("infer", "train", "learn", "optimize", "compare", "models", "masks", "serve", "export")
# Private words of earlier versions; "slope" and "frame" have other meanings, too, and are not among them.
DIALECT = (
    r"untold|told|houses?|rooms?|floors?|doors?|hills?|downhill|descen\w+|lessons?|diary|judges?|judged|looms?"
    r"|weav\w+|sketcher|posters?|twins?|eyes?|pulls?|mishaps?"
)


@pytest.fixture
def help_of(monkeypatch, capsys):
    def run(*words) -> str:
        monkeypatch.setenv("COLUMNS", "100")
        with pytest.raises(SystemExit) as ended:
            main([*words, "--help"])
        assert ended.value.code == 0
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_readable(help_of, command):
    text = help_of(*command.split())
    assert "\nexamples:\n  e2e-art " in text
    assert not re.search(r"default: *(\)|None|False|True|\[|\()", text)
    assert not re.findall(rf"\b(?:{DIALECT})\b", text, re.IGNORECASE)
    assert max(map(len, text.splitlines())) <= 100
    for line in text.split("\nexamples:\n")[1].splitlines():
        assert line.startswith(f"  e2e-art {command}")


def test_help_lists_every_command(help_of):
    text = help_of()
    assert [line.split()[0] for line in text.splitlines() if re.match(r"    \w", line)] == list(COMMANDS)


@pytest.mark.parametrize(
    ("command", "groups"),
    [
        ("infer", ["look of the painting", "size", "textures and doodles", "clips", "devices"]),
        ("train", ["stages", "loss", "devices", "advanced"]),
        ("optimize", ["blends, textures, seeds", "regions", "files beside the result", "loss", "solver and devices"]),
    ],
)
def test_what_everybody_needs_stands_first(help_of, command, groups):
    text = help_of(command)
    places = [text.index(f"\n{group}:\n") for group in groups]
    assert places == sorted(places)
    assert re.search(r"-o OUT|--out DIR", text).start() < places[0]


def test_every_option_has_its_flag(help_of):
    """Groups name their options; those that no group names must not get lost."""
    from dataclasses import fields

    from e2e_art.optimize.options import OptimizeOptions
    from e2e_art.training.options import TrainingOptions

    for command, options, others in (
        ("train", TrainingOptions, ("patch_weight", "patch_layers")),
        ("optimize", OptimizeOptions, ()),
    ):
        text = help_of(command)
        for option in (*fields(options), *fields(LossOptions)):
            if option.name in others:
                assert flag_of(option) not in text  # a training refuses it
            elif "help" in option.metadata:
                assert flag_of(option) in text


def test_version(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"e2e-art {__version__}\n"


# Sizes


@pytest.mark.parametrize("text", ["480x320", "480X320", "480\u00d7320", " 480 x 320 ", "0480x0320"])
def test_sizes_are_width_x_height(text, caplog):
    caplog.set_level(logging.INFO)
    assert parse_size(text, "--crop") == parse_size(text, "--size", (1, 1)) == (320, 480)
    assert caplog.text == ""


def test_an_edge_keeps_a_picture_s_form():
    assert parse_size("640", "--size", (300, 400, 3)) == (480, 640)
    assert parse_size("10", "--size", (400, 1, 3)) == (10, 1)
    assert parse_size("512", "--size", (1, 1)) == (512, 512)


@pytest.mark.parametrize(
    "text", ["", "x", "large", "0", "-3", "0x64", "64x", "x64", "64x64x3", "6.4x5", "²", "٣", "1e3", "6_4", "+5"]
)
@pytest.mark.parametrize("shape", [None, (40, 50, 3)])
def test_other_texts_are_no_sizes(text, shape):
    with pytest.raises(OptionError, match="--size takes .*width x height such as 480x320, not ") as refused:
        parse_size(text, "--size", shape)
    assert f"'{text}'" in str(refused.value)
    with pytest.raises(OptionError, match="not '640'"):
        parse_size("640", "--size")


def test_numbers_of_any_length_are_read_or_refused():
    assert parse_size("0" * 5000 + "640", "--size", (3, 4)) == (480, 640)
    assert parse_size("9" * 20, "--size", (1, 1)) == (10**20, 10**20)  # as near as a float comes; no memory holds it
    with pytest.raises(OptionError, match=rf"not '{'9' * 56} \.\.\.'"):  # more digits than int() reads
        parse_size("9" * 5000, "--size", (1, 1))


def test_the_long_edge_of_a_photo():
    assert [parse_edge(text, "--size") for text in ("800", "0", "000", " 0800")] == [800, 0, 0, 800]
    for text in ("", "-5", "640x480", "640.5", "٣", "1e3", "9" * 5000):
        with pytest.raises(OptionError, match="--size takes the long edge of a photo in pixels, such as 800, not '"):
            parse_edge(text, "--size")


# Flags made of options, and files in the way


def test_flags_of_options():
    parser = argparse.ArgumentParser()
    add_flags(parser, LossOptions, ["style_weight", "covariance", "style_layers"], given_only=True)
    assert gather(parser.parse_args([]), LossOptions) == {}
    values = gather(parser.parse_args(["--style-weight", "3", "--style-layers", "relu1_1", "relu2_1"]), LossOptions)
    assert values == {"style_weight": 3.0, "style_layers": ("relu1_1", "relu2_1")}


def test_files_in_the_way(tmp_path):
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    check_free([tmp_path / "a"], overwrite=True)
    check_free([tmp_path / "c"], overwrite=False)
    with pytest.raises(OptionError, match=r"/b \(and 1 more\) exists: choose another --onnx, or add --overwrite"):
        check_free([tmp_path / name for name in "bca"], False, "--onnx")
