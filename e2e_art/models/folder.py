"""A trained model on disk: save, load, verify, describe, list.

A model is a folder: ``model.json`` (what it is and how it was trained), ``stage-K.safetensors`` (weights),
``model.onnx`` (the whole chain), ``stage-K.onnx`` (the chain up to stage K, for those who stop there), ``tile-K.onnx``
(stage K alone, for tiled inference), ``noise.int8`` (the noise plane of all graphs), ``style.npz``
(`StyleTarget.save`), ``sheet.jpg`` and ``thumbnail.jpg`` (what it paints), and of a network of several styles
``style-K.jpg`` (what it paints in style K).  Every file's sha256 stands in model.json, model.json's own included, and
is checked when the model is loaded.
"""

from __future__ import annotations

import difflib
import errno
import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Any

from ..errors import ModelError, OptionError, plural, reason_of, shortened
from ..files import check, parse_json, pretrained_folder, read_file, write_folder
from ..networks.inputs import noise_tile
from ..networks.reach import reach_of
from .kinds import KINDS, PHOTO, Kind

__all__ = ["DESCRIBE_FILE", "FORMAT", "LEARNED", "NOISE_FILE", "STYLE_FILE", "THUMBNAIL", "VECTORS_FILE", "Model"]
__all__ += ["coding_files", "find_model", "graph_file", "list_models", "model_folders", "read_model"]
__all__ += ["style_thumbnail", "tile_file", "title_of", "weight_name", "write_model"]

FORMAT = 2  # that is written
OLD_FORMAT = 1  # that is read, too: its weights are in .params files
DESCRIPTION = "model.json"
CHECKSUM = "seal"  # the entry of model.json that holds the sha256 of the others
THUMBNAIL = "thumbnail.jpg"
STYLE_FILE = "style.npz"
NOISE_FILE = "noise.int8"
DESCRIBE_FILE = "describe.onnx"  # of a chain of any style: the graph that describes paintings
VECTORS_FILE = "vectors.json"  # ... and what its style vectors hold
LEARNED = "learned-"  # ... and what begins the names of the graphs of those styles

MOST_DESCRIPTION = 2**22  # bytes of model.json
MOST_BYTES = 2**28  # of all other files
SURE = 0.6  # how alike a name is to one that was meant

_SMALL_WORDS = ("A", "At", "In", "Of", "On", "Over", "The", "With")  # within a title


@dataclass(frozen=True, repr=False)
class Model:
    """A verified model.

    folder: where it lies.  name: what people call it.  kind: what it paints.  stages: the arguments of each generator.
    record: how it was trained.  files: sha256 of each file beside model.json.  format: the version that it is kept in.
    """

    folder: Path
    name: str
    kind: Kind
    stages: list[dict]
    record: dict
    files: dict[str, str] = field(default_factory=dict)
    share_weights: bool = False
    format: int = FORMAT

    def __repr__(self) -> str:
        return f"<Model {self.name}: {self.kind.name}, {plural(len(self.stages), 'stage')}, in {self.folder}>"

    @property
    def title(self) -> str:
        """The model's name for people, such as "Starry Night" or "Composition VII"."""
        return title_of(self.name)

    @property
    def megabytes(self) -> float:
        """The size of its files."""
        return sum((self.folder / name).stat().st_size for name in self.files) / 1e6

    @property
    def training_time(self) -> str:
        """How long it was trained, what it started from included, and by what where that was not MXNet, for people."""
        record, seconds = self.record, defaultdict[str, float](float)
        while record:
            single = {record.get("engine", "MXNet"): record.get("seconds", 0)}
            for engine, own in (record.get("engine_seconds") or single).items():
                seconds["" if engine.startswith("MXNet") else f" by {engine}"] += own
            record = record.get("started_from", {})
        times = (plural(round(each / 60), "minute") + by for by, each in reversed(seconds.items()) if each)
        return " and ".join(times) or "0 minutes"

    @property
    def styles(self) -> list[str]:
        """The names of the styles that it can be asked for: of a network of several alone."""
        if "styles" not in self.stages[0]:
            return []
        return [Path(style["file"]).stem for style in self.record["styles"]]

    @property
    def factor(self) -> int:
        """By how much it enlarges: 1 for models that paint."""
        return self.stages[0].get("factor", 1)

    @property
    def reach(self) -> int:
        """How many pixels on each side of one it sees; of upscalers alone."""
        return reach_of(**self.stages[0])

    def path(self, name: str) -> Path:
        """Returns the path of one of the model's files; raises ModelError for a file that it does not have."""
        if name not in self.files:
            raise ModelError(f"The model {self.folder} has no {name}: train it again, or get a whole copy")
        return self.folder / name

    def stage_files(self) -> list[str]:
        """Returns the weight file of each stage; stages that share weights share a file."""
        return [stage["file"] for stage in self.stages]

    def weight_files(self) -> list[str]:
        """Returns the files that its graphs point into, each once: the weights, stage by stage, and the noise."""
        return [*dict.fromkeys(self.stage_files()), *{NOISE_FILE} & self.files.keys()]

    def check_stages(self, stages: Sequence[int] | None = None) -> list[int]:
        """Returns numbers of stages, all by default; raises OptionError for one that there is not."""
        count = len(self.stages)
        chosen = list(range(count) if stages is None else stages if isinstance(stages, Iterable) else [stages])
        if wrong := [stage for stage in chosen if not isinstance(stage, Integral) or stage not in range(count)]:
            shown = shortened(str(wrong[0]))
            raise OptionError(f"{self.name} has stages 0 to {count - 1}, not {shown}: choose one of them")
        return chosen


def graph_file(last: int, count: int) -> str:
    """Returns the name of the ONNX graph that ends with stage `last` of a chain of `count`."""
    return "model.onnx" if last == count - 1 else f"stage-{last}.onnx"


def tile_file(stage: int) -> str:
    """Returns the name of the ONNX graph of one stage alone, which paints a picture in parts."""
    return f"tile-{stage}.onnx"


def style_thumbnail(style: int) -> str:
    """Returns the name of the small picture of what a network of several styles paints in one of them."""
    return f"style-{style}.jpg"


def title_of(name: str) -> str:
    """Returns the name of a model or of a style for people, such as "Starry Night" or "Composition VII"."""
    words = name.replace("_", " ").replace("-", " ").title().split(" ")
    words = [word.upper() if set(word.lower()) <= set("ivx") else word for word in words]
    return " ".join(word.lower() if index and word in _SMALL_WORDS else word for index, word in enumerate(words))


def coding_files(level: int) -> tuple[str, str]:
    """Returns the names of the ONNX graphs of an autoencoder that make features of a level, and a picture of those."""
    return f"encode-{level}.onnx", f"decode-{level}.onnx"


def weight_name(stage: int, key: str) -> str:
    """Returns the name that the weight of a stage's file has in graphs, before a runtime makes it single precision."""
    return f"stage_{stage}.{key}.kept"


def model_folders(folder: Path | None = None) -> list[Path]:
    """Returns the folders of the models in a folder, by name; by default of all shipped ones, kind by kind."""
    if folder is None:
        return [path for kind in KINDS.values() for path in model_folders(pretrained_folder() / kind.subfolder)]
    return sorted(path.parent for path in folder.glob(f"[!.]*/{DESCRIPTION}"))  # not what a killed write has left


def list_models(folder: str | Path | None = None) -> list[Model]:
    """Returns the models in a folder, by default all shipped ones: see `e2e_art.list_models`."""
    return [read_model(path) for path in model_folders(None if folder is None else Path(folder))]


def find_model(name: str, kind: Kind | None = None) -> Path:
    """Returns the folder of a model given by its shipped name or by path.

    Raises ModelError with the nearest name, or with all; those of a kind alone, if one is given.
    """
    if name and os.path.exists(os.path.join(name, DESCRIPTION)):
        return Path(name)
    shipped = {path.name: path for path in model_folders()}
    if name in shipped:
        return shipped[name]
    if name.lower().endswith(".onnx") and os.path.isfile(name):
        raise ModelError(
            f"{name} is an ONNX file, which paints photos and no more (e2e-art infer PHOTO --model {name}): give the "
            "folder that train.py wrote"
        )
    if name and os.path.exists(name):
        raise ModelError(f"{name} is no model: it has no {DESCRIPTION}; give the folder that train.py wrote")
    fitting = [path.name for path in (model_folders(pretrained_folder() / kind.subfolder) if kind else model_folders())]
    hint = f"shipped are {', '.join(fitting)}, or give a model's folder"
    if not fitting:
        hint = f"none {'of its kind ' if kind else ''}is shipped, so give the folder of one that train.py wrote"
    is_path = os.path.basename(name) != name
    if near := [] if is_path else difflib.get_close_matches(name.lower(), fitting, n=1, cutoff=SURE):
        hint = f"did you mean {near[0]}?"
    raise ModelError(f"There is no model '{shortened(name)}': {hint}")


def read_model(name: str | Path | Model, kind: Kind | None = None) -> Model:
    """Returns a model given by shipped name or folder, all of its files verified; kind: what it has to be, if given.

    A model that was read before is returned as it is.

    Raises ModelError for another kind, an unknown kind or format version, a missing folder, a missing or changed file,
    and for a model.json that describes no model.
    """
    model = name if isinstance(name, Model) else _read(find_model(str(name), kind))
    if kind not in (None, model.kind):
        raise ModelError(
            f"{model.folder} is a model of kind '{model.kind.name}', not '{kind.name}': use it as "
            f"e2e-art infer {model.kind.usage} {model.folder}"
        )
    return model


def _read(folder: Path) -> Model:
    """Returns the model in a folder, whoever wrote it, all of its files verified."""
    path = folder / DESCRIPTION
    try:
        description = parse_json(read_file(path, MOST_DESCRIPTION))
        version = description["format"]
        if version in (OLD_FORMAT, FORMAT) and description.get(CHECKSUM) != _checksum(description):
            raise ValueError("it has changed since it was written: its sha256 differs")
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise ModelError(
            f"{path} cannot be read ({reason_of(error)}): get a whole copy of the model, or train it again"
        ) from error
    model = _parse(folder, description)
    left = MOST_BYTES
    for name, expected in model.files.items():
        path = folder / name
        try:
            if path.is_symlink():
                raise OSError(errno.EINVAL, "it is a link to elsewhere")
            content = read_file(path, left)
        except OSError as error:
            raise ModelError(f"{path} is missing or unreadable ({error.strerror}): get a whole copy") from error
        if hashlib.sha256(content).hexdigest() != expected:
            raise ModelError(f"{path} has changed since it was trained (sha256 differs): get a whole copy")
        if name == NOISE_FILE and content != noise_tile().tobytes():
            raise ModelError(f"{path} is not the noise that all models paint on: train the model again")
        left -= len(content)
    return model


def _parse(folder: Path, description: dict[str, Any]) -> Model:
    """Returns the model that a model.json describes; raises ModelError where this e2e-art can build no such model."""
    path, version = folder / DESCRIPTION, description["format"]
    kind: Any = description.get("kind")
    if version not in (OLD_FORMAT, FORMAT):
        version = shortened(ascii(version))
        raise ModelError(
            f"{path} has format version {version}, this e2e-art reads {OLD_FORMAT} and {FORMAT}: install the one that "
            "wrote it"
        )
    if isinstance(kind, str) and kind not in KINDS:
        raise ModelError(
            f"{folder} is a model of kind {shortened(ascii(kind))}, which this e2e-art does not know: install the one "
            "that wrote it"
        )
    try:
        schema = KINDS[kind].schema if isinstance(kind, str) else PHOTO.schema  # which says that it is none
        check(description, schema)
    except ValueError as error:
        raise ModelError(f"{path} describes no model ({error}): train it again, or ask who made it") from error
    name, stages, record, files, shared = (
        description[entry] for entry in ("name", "stages", "record", "files", "share_weights")
    )
    return Model(folder, name, KINDS[kind], stages, record, files, shared, version)


def _checksum(description: dict) -> str:
    """Returns the sha256 of a description, its own checksum aside, however it is laid out in the file."""
    rest = {key: value for key, value in description.items() if key != CHECKSUM}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def write_model(
    folder: Path,
    kind: str,
    stages: list[dict],
    record: dict,
    files: dict[str, bytes],
    share_weights: bool = False,
    overwrite: bool = False,
    name: str = "",
) -> Model:
    """Writes a model, whole or not at all: into a temporary folder first, which is then renamed.

    files: the contents of each file beside model.json.  name: what people call it, as its folder by default.  Raises
    ModelError where the folder exists (unless overwrite is set), is anything but a model, or cannot be written.
    """
    if folder.exists() and not overwrite:
        raise ModelError(f"{folder} exists: choose another --out, or add --overwrite")
    if folder.exists() and not (folder / DESCRIPTION).is_file():
        raise ModelError(f"{folder} is no model, so it is not replaced: choose another --out")
    description = {
        **{"format": FORMAT, "name": name or folder.name, "kind": kind},
        **{"share_weights": share_weights, "stages": stages},
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "record": record,
    }
    text = json.dumps({**description, CHECKSUM: _checksum(description)}, indent=1, ensure_ascii=False) + "\n"
    try:
        write_folder(folder, {**files, DESCRIPTION: text.encode()})
    except OSError as error:
        raise ModelError(
            f"{folder} cannot be written ({error.strerror}): free space, or choose another place"
        ) from error
    return read_model(folder)
