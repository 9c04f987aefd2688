"""The house: every room on its floor, and every arrow downward."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "e2e_art"
FLOORS = {
    0: ["errors", "files", "options", "images", "backend", "memory", "runtime", "frame", "noise"],
    1: ["vgg", "photos", "colors", "regions", "descent", "presets", "optimizer", "flow", "upsample", "masks"],
    2: ["blocks", "texture", "doodle", "generators", "patches", "losses"],
    3: ["chain", "slope"],
    4: [
        "lessons",
        "noise_lessons",
        "models",
        "checkpoint",
        "storage",
        "onnx_nodes",
        "onnx_graph",
        "onnx_file",
        "publish",
        "site",
        "foreign",
        "posters",
    ],
    5: ["training", "forecast", "optimize", "stylize", "judge", "compare", "reports", "serve", "video", "weave"],
    6: [
        "flags",
        "cli",
        "cli_train",
        "cli_training",
        "cli_texture",
        "cli_doodle",
        "cli_masks",
        "cli_infer",
        "cli_optimize",
        "cli_diary",
        "interrupt",
        "cli_compare",
        "cli_models",
        "cli_serve",
        "cli_export",
        "cli_video",
    ],
}
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
TREES = {path.stem: ast.parse(path.read_text()) for path in PACKAGE.glob("*.py")}


def rooms_that(room: str) -> set[str]:
    """Returns the rooms that a room imports, wherever in its text."""
    found = set()
    for node in ast.walk(TREES[room]):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found |= {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
    return found - {"__version__"}


def modules_that(room: str) -> set[str]:
    """Returns the modules from elsewhere that a room imports."""
    nodes = list(ast.walk(TREES[room]))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0}
    return {name.split(".")[0] for name in names}


def test_every_room_has_a_floor():
    assert set(FLOOR) == set(TREES) - {"__init__", "__main__"}


@pytest.mark.parametrize("room", FLOOR)
def test_imports_never_run_upward(room):
    for other in rooms_that(room):
        assert FLOOR[other] <= FLOOR[room], f"{room} looks up at {other}"
        if FLOOR[room] == FLOOR[other] == 5:
            assert room == "compare", f"{room} looks sideways at {other}"


def test_no_two_rooms_import_each_other():
    waiting = {room: rooms_that(room) for room in FLOOR}
    while waiting:
        free = [room for room, needs in waiting.items() if not needs & waiting.keys()]
        assert free, f"these go in circles: {sorted(waiting)}"
        waiting = {room: needs for room, needs in waiting.items() if room not in free}


@pytest.mark.parametrize("room", FLOOR)
def test_each_thing_has_its_door(room):
    modules = modules_that(room)
    assert room == "backend" or "mxnet" not in modules, "MXNet comes through backend.py"
    assert FLOOR[room] == 6 or not modules & {"argparse", "tqdm"}, "flags and bars belong to floor 6"
    calls = [
        node.func.id for node in ast.walk(TREES[room]) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    assert FLOOR[room] == 6 or "print" not in calls, "only floor 6 prints"


@pytest.mark.parametrize("room", FLOOR)
def test_rooms_are_small_and_say_what_they_are(room):
    assert len((PACKAGE / f"{room}.py").read_text().splitlines()) <= 310
    assert ast.get_docstring(TREES[room])
