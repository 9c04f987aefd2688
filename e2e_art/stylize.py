"""A photo through a trained model: engines, strength, size, colors."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .colors import keep_colors as with_colors_of
from .errors import OptionError, UserError
from .images import denoise as remove_noise
from .images import resize, resize_long_edge
from .models import Model, graph_file, read_model

__all__ = ["ENGINES", "MOST_PIXELS", "Painter", "load"]

log = logging.getLogger(__name__)

ENGINES = ("auto", "onnx", "mxnet")
MOST_PIXELS = 4_000_000  # larger photos are painted at this size unless told otherwise: strokes keep their scale
STRONGEST = 2.0


def load(
    model: str | Path, engine: str = "auto", threads: int | None = None, gpu: int | None = None
) -> Painter:  # fmt: skip
    """Returns a trained model, ready to paint.

    model: a shipped name, or the folder of a trained model.  engine: "onnx" (onnxruntime), "mxnet", or "auto": onnx
    where it can.  threads: how many to use, all cores by default.  gpu: the number of a GPU; None is the CPU.

    >>> painter = load("starry_night")
    >>> painting = painter(photo)  # uint8 (H, W, 3) -> uint8 (H, W, 3)

    Raises ModelError for a model that is missing or damaged, UserError where the engine or GPU is not to be had.
    """
    if engine not in ENGINES:
        raise OptionError(f"'{engine}' is no engine: choose from {', '.join(ENGINES)}")
    verified = read_model(model)
    if engine == "mxnet" or (engine == "auto" and gpu is not None and not _onnx_has_gpu()):
        return Painter(verified, _MxnetEngine(verified, gpu))
    return Painter(verified, _OnnxEngine(verified, threads, gpu))


class Painter:
    """A trained model with an engine that runs it; call it with a photo to get the painting."""

    def __init__(self, model: Model, engine):
        self.model, self.engine = model, engine

    def __call__(self, photo: np.ndarray, stage: int | None = None, **options) -> np.ndarray:
        """Returns the painting of a photo, uint8 (H, W, 3); stage: where to stop, the last one by default.

        Other options as for `stages`.
        """
        stage = len(self.model.stages) - 1 if stage is None else stage
        return self.stages(photo, [stage], **options)[0]

    def stages(
        self,
        photo: np.ndarray,
        stages: Sequence[int] | None = None,
        *,
        strength: float = 1.0,
        size: int | None = None,
        as_painted: bool = False,
        keep_colors: bool = False,
        denoise: float = 0.0,
    ) -> list[np.ndarray]:
        """Returns the pictures of several stages, all by default, each uint8 (H, W, 3).

        photo: uint8 (H, W, 3) RGB, any H, W >= 1.  strength: 0 gives the photo, 1 the trained look, 2 is the most.
        size: long edge to paint at; by default the photo's own, up to 4 megapixels.  as_painted: leave it at that
        size; else the painting returns to the photo's.  keep_colors: luminance of the painting, color of the photo.
        denoise: weight of a total variation filter; Bing Xu's script used 0.02.

        Raises OptionError for options out of range, UserError where memory does not suffice.
        """
        count = len(self.model.stages)
        stages = list(range(count)) if stages is None else list(stages)
        if not all(0 <= stage < count for stage in stages):
            raise OptionError(
                f"{self.model.name} has stages 0 to {count - 1}, not {max(stages, key=abs)}: choose one of them"
            )
        if not 0 <= strength <= STRONGEST:
            raise OptionError(f"A strength lies in 0..{STRONGEST:g}, not at {strength:g}")
        if size is not None and size < 1:
            raise OptionError(f"A size is a long edge in pixels, at least 1, not {size}")
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or 0 in photo.shape:
            raise OptionError(
                f"A photo is an array of uint8 (H, W, 3), not {photo.dtype} {photo.shape}: use read_image"
            )
        small = self._working_copy(photo, size)
        inputs = np.ascontiguousarray(small.transpose(2, 0, 1)[None], np.float32)  # (1, 3, H, W)
        try:
            outputs = self.engine.paint(inputs, stages, strength)
        except MemoryError as error:
            height, width = small.shape[:2]
            raise UserError(
                f"There is not enough memory to paint {width}x{height} pixels: give a smaller --size"
            ) from error
        paintings = [np.clip(np.rint(output[0]), 0, 255).astype(np.uint8).transpose(1, 2, 0) for output in outputs]
        height, width = (small if as_painted else photo).shape[:2]
        finished = []
        for painting in paintings:
            painting = resize(remove_noise(painting, denoise) if denoise else painting, height, width)
            if keep_colors:
                painting = with_colors_of(painting, resize(photo, height, width))
            finished.append(np.ascontiguousarray(painting))
        return finished

    def _working_copy(self, photo: np.ndarray, size: int | None) -> np.ndarray:
        height, width = photo.shape[:2]
        if size is not None:
            return resize_long_edge(photo, size)
        if height * width <= MOST_PIXELS:
            return photo
        edge = int(max(height, width) * (MOST_PIXELS / (height * width)) ** 0.5)
        log.info("%dx%d pixels are painted at long edge %d; --size chooses another", width, height, edge)
        return resize_long_edge(photo, edge)


def _onnx_has_gpu() -> bool:
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


class _OnnxEngine:
    """Runs the ONNX graphs of a model with onnxruntime."""

    name = "onnx"

    def __init__(self, model: Model, threads: int | None, gpu: int | None):
        if gpu is not None and not _onnx_has_gpu():
            raise UserError(f"onnxruntime finds no GPU {gpu}: leave --gpu out, or pip install onnxruntime-gpu")
        self._model, self._threads, self._gpu = model, threads, gpu
        self._sessions: dict = {}

    def paint(self, photo: np.ndarray, stages: Sequence[int], strength: float) -> list[np.ndarray]:
        """Returns the pictures of the stages, (1, 3, H, W) float32 in 0..255; stages after them are not computed."""
        inputs = {"image": photo, "strength": np.array([strength], np.float32)}
        session = self._session(max(stages))
        try:
            return session.run([f"stage_{stage}" for stage in stages], inputs)
        except Exception as error:
            if "alloc" in str(error).lower():
                raise MemoryError from error
            raise

    def _session(self, last: int):
        """Returns the session of the graph that ends with a stage, opened when it is first asked for."""
        if last not in self._sessions:
            self._sessions[last] = self._open(self._model.path(graph_file(last, len(self._model.stages))))
        return self._sessions[last]

    def _open(self, path: Path):
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3
        if self._threads:
            settings.intra_op_num_threads = self._threads
        providers: list = ["CPUExecutionProvider"]
        if self._gpu is not None:
            providers.insert(0, ("CUDAExecutionProvider", {"device_id": self._gpu}))
        try:
            session = onnxruntime.InferenceSession(str(path), settings, providers=providers)
        except Exception as error:  # onnxruntime raises kinds of its own, none public
            raise UserError(f"{path} cannot be loaded ({error}): get a whole copy") from error
        if self._gpu is not None and "CUDAExecutionProvider" not in session.get_providers():
            raise UserError(f"onnxruntime could not use GPU {self._gpu}: leave --gpu out, or check its driver")
        return session


class _MxnetEngine:
    """Runs the Gluon blocks."""

    name = "mxnet"

    def __init__(self, model: Model, gpu: int | None):
        from .backend import contexts
        from .publish import load_chain

        self._context = contexts(None if gpu is None else str(gpu))[0]
        self._chain = load_chain(model, [self._context])

    def paint(self, photo: np.ndarray, stages: Sequence[int], strength: float) -> list[np.ndarray]:
        """Returns the pictures of the stages, (1, 3, H, W) float32 in 0..255."""
        from .backend import mx
        from .images import CHANNEL_MEANS

        means = mx.nd.array(CHANNEL_MEANS, ctx=self._context).reshape((1, 3, 1, 1))
        pictures = self._chain(mx.nd.array(photo, ctx=self._context) - means, strength, max(stages) + 1)
        return [(pictures[stage] + means).clip(0, 255).asnumpy() for stage in stages]
