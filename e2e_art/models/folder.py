"""A trained model on disk: save, load, verify, describe, list.

A model is a folder: ``model.json`` (what it is and how it was trained), ``stage-K.params`` (Gluon), ``model.onnx`` (the
whole chain), ``stage-K.onnx`` (the chain up to stage K, for those who stop there), ``tile-K.onnx`` (stage K alone, for
posters), ``noise.int8`` (what all paint on), ``style.npz`` (the painting's style targets), ``sheet.jpg`` and
``thumbnail.jpg`` (what it paints).  Every file's sha256 stands in model.json, model.json's own included, and is checked
when the model is loaded.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import UserError
from ..files import pretrained_folder, write_folder
from .kinds import KINDS, Kind

__all__ = [
    "FORMAT",
    "NOISE_FILE",
    "THUMBNAIL",
    "Model",
    "ModelError",
    "find_model",
    "graph_file",
    "list_models",
    "list_shipped",
    "read_model",
    "tile_file",
    "write_model",
]

FORMAT = 1
DESCRIPTION = "model.json"
THUMBNAIL = "thumbnail.jpg"
STYLE_FILE = "style.npz"  # `StyleTarget.save`
NOISE_FILE = "noise.int8"  # `frame.noise_tile`, for all graphs of a model


class ModelError(UserError):
    """A model is missing, damaged or from the future; the message names folder, reason and fix."""


_SMALL_WORDS = ("A", "At", "In", "Of", "On", "Over", "The", "With")  # within a title


@dataclass(frozen=True)
class Model:
    """A verified model.

    folder: where it lies.  name: what people call it.  kind: what it paints.  stages: the arguments of each generator.
    record: how it was trained.  files: sha256 of each file beside model.json.
    """

    folder: Path
    name: str
    kind: Kind
    stages: list[dict]
    record: dict
    files: dict[str, str] = field(default_factory=dict)
    share_weights: bool = False

    @property
    def title(self) -> str:
        """The model's name for people, such as "Starry Night" or "Composition VII"."""
        words = self.name.replace("_", " ").replace("-", " ").title().split(" ")
        words = [word.upper() if set(word.lower()) <= set("ivx") else word for word in words]
        return " ".join(word.lower() if index and word in _SMALL_WORDS else word for index, word in enumerate(words))

    @property
    def megabytes(self) -> float:
        """The size of its files."""
        return sum((self.folder / name).stat().st_size for name in self.files) / 1e6

    @property
    def training_time(self) -> str:
        """How long it was trained, what it started from included, and by what where that was not MXNet, for people."""
        record, seconds = self.record, {}
        while record:
            engine = record.get("engine", "MXNet")
            seconds[engine] = seconds.get(engine, 0.0) + record.get("seconds", 0)
            record = record.get("started_from")
        words = [
            f"{each / 60:.0f} minutes" + ("" if engine == "MXNet" else f" by {engine}")
            for engine, each in seconds.items()
        ]
        return " and ".join(reversed(words))

    def path(self, name: str) -> Path:
        """Returns the path of one of the model's files; raises ModelError for a file that it does not have."""
        if name not in self.files:
            raise ModelError(f"The model {self.folder} has no {name}: train it again, or get a whole copy")
        return self.folder / name

    def stage_files(self) -> list[str]:
        """Returns the weight file of each stage; stages that share weights share a file."""
        return [stage["file"] for stage in self.stages]


def graph_file(last: int, count: int) -> str:
    """Returns the name of the ONNX graph that ends with stage `last` of a chain of `count`."""
    return "model.onnx" if last == count - 1 else f"stage-{last}.onnx"


def tile_file(stage: int) -> str:
    """Returns the name of the ONNX graph of one stage alone, which paints a picture in parts."""
    return f"tile-{stage}.onnx"


def list_models(folder: Path | None = None) -> list[Path]:
    """Returns the folders of all models in a folder, the shipped ones for photos by default, by name."""
    folder = pretrained_folder() if folder is None else folder
    return sorted(path.parent for path in folder.glob(f"*/{DESCRIPTION}"))


def list_shipped() -> list[Path]:
    """Returns the folders of all shipped models, of every kind."""
    return [path for kind in KINDS.values() for path in list_models(pretrained_folder() / kind.subfolder)]


def find_model(name: str) -> Path:
    """Returns the folder of a model given by its shipped name or by path; raises ModelError with the nearest name."""
    if (Path(name) / DESCRIPTION).is_file():
        return Path(name)
    shipped = {path.name: path for path in list_shipped()}
    if name in shipped:
        return shipped[name]
    if Path(name).exists():
        raise ModelError(f"{name} is no model: it has no {DESCRIPTION}; give the folder that train.py wrote")
    near = difflib.get_close_matches(name, shipped, n=1, cutoff=0.4)
    hint = (
        f"did you mean {near[0]}?" if near else f"shipped are {', '.join(shipped) or 'none'}, or give a model's folder"
    )
    raise ModelError(f"There is no model '{name}': {hint}")


def read_model(name: str | Path | Model, kind: Kind | None = None) -> Model:
    """Returns a model given by shipped name or folder, all of its files verified; kind: what it has to be, if given.

    A model that was read before is returned as it is.

    Raises ModelError for another kind, an unknown kind or format version, a missing folder, a missing or changed file.
    """
    if isinstance(name, Model):
        _check_kind(name, kind)
        return name
    folder = find_model(str(name))
    path = folder / DESCRIPTION
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        version = description["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path} cannot be read ({error!r}): get a whole copy of the model, or train it again"
        ) from error
    if version != FORMAT:
        raise ModelError(
            f"{path} has format version {version}, this e2e-art reads {FORMAT}: install the e2e-art that wrote it"
        )
    _check_checksum(path, description)
    try:
        if description["kind"] not in KINDS:
            raise ModelError(
                f"{folder} is a model of kind '{description['kind']}', which this e2e-art does not know: "
                "install the one that wrote it"
            )
        model = Model(
            folder=folder,
            name=description["name"],
            kind=KINDS[description["kind"]],
            stages=description["stages"],
            record=description["record"],
            files=description["files"],
            share_weights=description["share_weights"],
        )
    except KeyError as error:
        raise ModelError(f"{path} has no entry {error}: get a whole copy of the model, or train it again") from error
    _check_kind(model, kind)
    for file, expected in model.files.items():
        if Path(file).name != file:
            raise ModelError(f"{path} names a file outside of its folder ({file}): get a whole copy of the model")
        try:
            found = hashlib.sha256((folder / file).read_bytes()).hexdigest()
        except OSError as error:
            raise ModelError(
                f"{folder / file} is missing or unreadable ({error.strerror}): get a whole copy"
            ) from error
        if found != expected:
            raise ModelError(f"{folder / file} has changed since it was trained (sha256 differs): get a whole copy")
    return model


def _check_kind(model: Model, kind: Kind | None) -> None:
    if kind is not None and model.kind != kind:
        raise ModelError(
            f"{model.folder} is a model of kind '{model.kind.name}', not '{kind.name}': use it as "
            f"e2e-art infer {model.kind.usage} {model.folder}"
        )


def _checksum(description: dict) -> str:
    """Returns the sha256 of a description, its own seal aside, however it is laid out in the file."""
    rest = {key: value for key, value in description.items() if key != "seal"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _check_checksum(path: Path, description: dict) -> None:
    if description.get("seal") != _checksum(description):
        raise ModelError(f"{path} has changed since it was written (sha256 differs): get a whole copy of the model")


def write_model(
    folder: Path,
    *,
    kind: str,
    stages: list[dict],
    record: dict,
    files: dict[str, bytes],
    share_weights: bool = False,
    overwrite: bool = False,
) -> Model:
    """Writes a model, whole or not at all: into a temporary folder first, which is then renamed.

    files: the contents of each file beside model.json.  Raises ModelError where the folder exists (unless overwrite is
    set), is anything but a model, or cannot be written.
    """
    if folder.exists() and not overwrite:
        raise ModelError(f"{folder} exists: choose another --out, or add --overwrite")
    if folder.exists() and not (folder / DESCRIPTION).is_file():
        raise ModelError(f"{folder} is no model, so it is not replaced: choose another --out")
    description = {
        "format": FORMAT,
        "name": folder.name,
        "kind": kind,
        "share_weights": share_weights,
        "stages": stages,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "record": record,
    }
    text = json.dumps({**description, "seal": _checksum(description)}, indent=1, ensure_ascii=False) + "\n"
    try:
        write_folder(folder, {**files, DESCRIPTION: text.encode()})
    except OSError as error:
        raise ModelError(
            f"{folder} cannot be written ({error.strerror}): free space or choose another --out"
        ) from error
    return read_model(folder)
