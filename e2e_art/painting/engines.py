"""What runs a trained model: onnxruntime, or the Gluon blocks by MXNet or PyTorch."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..engines.choice import CHOICES, any_installed, choose
from ..engines.onnxruntime import check_gpu, has_gpu, open_session, run_session
from ..errors import MemoryShortage, ModelError, OptionError, first_line, plural, unknown
from ..images.arrays import CHANNEL_MEANS
from ..losses.options import Number
from ..machine import PAINTING, Need, check_memory
from ..models.folder import Model, graph_file, read_model
from ..models.kinds import Kind
from .external import SUFFIX, ExternalEngine

__all__ = ["ENGINES", "Engine", "GluonEngine", "ModelPainter", "OnnxEngine"]

log = logging.getLogger(__name__)

ENGINES = ("auto", "onnx", *CHOICES[1:])
SMALLER = "give a smaller --size, or another --model"


class Engine(Protocol):
    """Runs the model that `model` describes; device: threads and GPU of onnxruntime, for tiled inference also.

    name: that by which `machine.PAINTING` knows what it takes.
    """

    name: str
    model: Model
    device: tuple[int | None, int | str | None]

    def run(self, inputs: Mapping[str, np.ndarray], stages: Sequence[int]) -> list[np.ndarray]:
        """Returns the pictures of the stages, (1, 3, H, W) float32 in 0..255.

        inputs, float32 by name: `image` (1, 3, H, W), 0..255, `strength` (1,), and for networks of several styles
        `style` (S,); or `noise` (1, C, H, W), for doodles after `regions` (1, R, H, W).
        Raises MemoryError where memory does not suffice.
        """


class OnnxEngine:
    """Runs the ONNX graphs of a model with onnxruntime."""

    name = "onnx"

    def __init__(self, model: Model, threads: int | None, gpu: int | str | None):
        check_gpu(gpu)
        self.model, self.device = model, (threads, gpu)
        self._sessions: dict[Path, Any] = {}

    def run(self, inputs: Mapping[str, np.ndarray], stages: Sequence[int]) -> list[np.ndarray]:
        """Returns the pictures of the stages (see `Engine`); stages after them are not computed."""
        graph = self.model.path(graph_file(max(stages), len(self.model.stages)))
        if graph not in self._sessions:
            self._sessions[graph] = self._open(graph, inputs, range(max(stages) + 1))
        return self._pictures(self._sessions[graph], graph, inputs, stages)

    def _pictures(
        self, session: Any, graph: Path, inputs: Mapping[str, np.ndarray], stages: Sequence[int]
    ) -> list[np.ndarray]:
        """Returns the pictures of stages by a session; raises ModelError where they have another size than they say."""
        pictures = run_session(session, [f"stage_{stage}" for stage in stages], inputs, graph)
        height, width = (side * self.model.factor for side in next(iter(inputs.values())).shape[2:])
        if any(picture.shape != (1, 3, height, width) for picture in pictures):
            raise ModelError(f"{graph} gives no pictures of {width}x{height} pixels: train the model again")
        return pictures

    def _open(
        self,
        graph: Path,
        inputs: Mapping[str, np.ndarray],
        stages: Iterable[int],
        weights: Mapping[str, np.ndarray] | None = None,
    ) -> Any:
        """Returns a session; raises ModelError for a graph that takes or gives other than its description says.

        stages: that it gives.  weights: as for `open_session`.
        """
        session = open_session(graph, *self.device, weights=weights)
        takes = {place.name: [place.type, *place.shape[1:2]] for place in session.get_inputs()}
        wanted = {name: ["tensor(float)", *array.shape[1:2]] for name, array in inputs.items()}
        gives = {place.name for place in session.get_outputs()}
        if takes != wanted or not gives >= {f"stage_{stage}" for stage in stages}:
            raise ModelError(f"{graph} is not the graph of the model that model.json describes: train the model again")
        return session


class GluonEngine:
    """Runs the Gluon blocks by the engine of this process."""

    device: tuple[int | None, int | str | None] = None, None  # tiles are painted by onnxruntime, on the CPU

    def __init__(self, model: Model, engine: str, gpu: int | str | None):
        self.name = choose(engine, gpu)
        from ..engines.gluon import devices
        from ..models.publish import load_chain

        (self._device,) = devices(gpu)
        self.model, self.chain = model, load_chain(model, [self._device])

    def run(self, inputs: Mapping[str, np.ndarray], stages: Sequence[int]) -> list[np.ndarray]:
        """Returns the pictures of the stages (see `Engine`)."""
        from ..engines.gluon import array, to_numpy

        planes, means = dict(inputs), np.reshape(CHANNEL_MEANS, (1, 3, 1, 1))
        (strength,) = planes.pop("strength", (1.0,))
        styles = [array(planes.pop("style")[np.newaxis], self._device)] if "style" in planes else []
        if "image" in planes:
            means = means.astype(np.float32)  # only here: models are to paint every pixel as they always have
            planes["image"] = planes["image"] - means
        try:
            given = array(np.concatenate(list(planes.values()), axis=1), self._device)
            pictures = self.paint(given, float(strength), stages, *styles)
            painted = [np.clip(to_numpy(picture) + means, 0, 255) for picture in pictures]
        except RuntimeError as error:  # which those of both engines are
            if "alloc" in str(error).lower():
                raise MemoryError(f"{self.model.folder} takes more memory than there is") from error
            raise
        if not all(np.isfinite(picture).all() for picture in painted):
            raise ModelError(f"{self.model.folder} gives infinite numbers or none (NaN), so no picture: train it again")
        return painted

    def paint(self, given: Any, strength: float, stages: Sequence[int], *styles: Any) -> list:
        """Returns the pictures of the stages in VGG space, (1, 3, H, W), as arrays of the engine."""
        pictures = self.chain(given, strength, max(stages) + 1, *styles)
        return [pictures[stage] for stage in stages]


class ModelPainter:
    """A trained model of one kind, with an engine that runs it; arguments and errors as for `e2e_art.load`."""

    kind: Kind
    remedy = SMALLER  # where memory did not suffice
    onnx_engine, gluon_engine = OnnxEngine, GluonEngine

    def __init__(
        self,
        model: str | Path | Model,
        engine: str = "auto",
        threads: int | None = None,
        gpu: int | str | None = None,
    ):
        self.engine = self._make_engine(model, engine, threads, gpu)
        self.model = self.engine.model
        needs = PAINTING.get(self.model.stages[0].get("kind", ""), PAINTING[self.model.kind.name])
        self.need = needs[self.engine.name].enlarging(self.model.factor)
        self.held = 0.0  # bytes that the engine keeps of pictures before
        self._said: set[str] = set()

    def __repr__(self) -> str:
        stages = plural(len(self.model.stages), "stage")
        return f"<{type(self).__name__} {self.model.name}: {self.model.kind.name}, {stages}, by {self.engine.name}>"

    @property
    def models(self) -> list[Model]:
        """The models that it paints with."""
        return [self.model]

    def check_memory(self, height: int, width: int, fix: str = "--size {width}x{height}", more: float = 0) -> None:
        """Raises MemoryShortage where a picture would not fit into the free memory; more: bytes a pixel beside it.

        fix: as for `machine.check_memory`.
        """
        need = Need(self.need.pixel + more, self.need.always)
        check_memory(need, height, width, fix, multiple=self.model.kind.multiple, held=self.held)

    def run(self, inputs: Mapping[str, np.ndarray], stages: Sequence[int], height: int, width: int) -> list[np.ndarray]:
        """Returns what `Engine.run` does, for a picture of that size."""
        pictures = self.engine.run(inputs, stages)
        self.held = max(self.held, self.need.pixel * height * width)
        return pictures

    @contextmanager
    def within_memory(self, height: int, width: int) -> Iterator[None]:
        """Raises MemoryShortage where memory does not suffice for what makes a picture of that size inside."""
        try:
            yield
        except MemoryError as error:
            raise MemoryShortage(f"{first_line(error)}, for {width}x{height} pixels: {self.remedy}") from error

    def say(self, sentence: str) -> None:
        """Logs a sentence, once for all pictures, as the frames of a clip are many."""
        if sentence not in self._said:
            self._said.add(sentence)
            log.info(sentence)

    def last(self, stage: int | None) -> list[int]:
        """Returns a stage to stop at, or by default the last one, for `Engine.run`."""
        return self.model.check_stages([len(self.model.stages) - 1 if stage is None else stage])

    def _read(self, model: str | Path | Model) -> Model:
        """Returns a model, verified; raises ModelError for one of another kind."""
        return read_model(model, self.kind)

    def _make_engine(
        self, model: str | Path | Model, engine: str, threads: int | None, gpu: int | str | None
    ) -> Engine:
        if engine not in ENGINES:
            raise OptionError(unknown("engine", engine, ENGINES))
        if threads is not None:
            Number(int, 1).check("threads", threads)
        if self.kind.paints_photos and not isinstance(model, Model) and str(model).lower().endswith(SUFFIX):
            if engine not in ("auto", "onnx"):
                raise OptionError(f"{model} is a file for onnxruntime: leave --engine {engine} out")
            return ExternalEngine(Path(model), threads, gpu)
        verified = self._read(model)
        if engine == "onnx" or (engine == "auto" and (gpu is None or has_gpu(gpu) or not any_installed())):
            return self.onnx_engine(verified, threads, gpu)
        return self.gluon_engine(verified, engine, gpu)
