"""What runs a trained model: onnxruntime, or the Gluon blocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..engines.onnxruntime import check_gpu, open_session, out_of_memory
from ..models.folder import Model, graph_file

__all__ = ["ENGINES"]

ENGINES = ("auto", "onnx", "mxnet")


class OnnxEngine:
    """Runs the ONNX graphs of a model with onnxruntime."""

    name = "onnx"

    def __init__(self, model: Model, threads: int | None, gpu: int | None):
        check_gpu(gpu)
        self.model, self._threads, self._gpu = model, threads, gpu
        self._sessions: dict = {}

    def paint(self, photo: np.ndarray, stages: Sequence[int], strength: float) -> list[np.ndarray]:
        """Returns the pictures of the stages, (1, 3, H, W) float32 in 0..255; stages after them are not computed."""
        inputs = {"image": photo, "strength": np.array([strength], np.float32)}
        session = self._session(max(stages))
        try:
            return session.run([f"stage_{stage}" for stage in stages], inputs)
        except Exception as error:
            if out_of_memory(error):
                raise MemoryError from error
            raise

    def _session(self, last: int):
        """Returns the session of the graph that ends with a stage, opened when it is first asked for."""
        if last not in self._sessions:
            path = self.model.path(graph_file(last, len(self.model.stages)))
            self._sessions[last] = open_session(path, self._threads, self._gpu)
        return self._sessions[last]


class MxnetEngine:
    """Runs the Gluon blocks."""

    name = "mxnet"

    def __init__(self, model: Model, gpu: int | None):
        from ..engines.mxnet import contexts
        from ..models.publish import load_chain

        self.model = model
        self._context = contexts(None if gpu is None else str(gpu))[0]
        self._chain = load_chain(model, [self._context])

    def paint(self, photo: np.ndarray, stages: Sequence[int], strength: float) -> list[np.ndarray]:
        """Returns the pictures of the stages, (1, 3, H, W) float32 in 0..255."""
        from ..engines.mxnet import mx
        from ..images.arrays import CHANNEL_MEANS

        means = mx.nd.array(CHANNEL_MEANS, ctx=self._context).reshape((1, 3, 1, 1))
        pictures = self._chain(mx.nd.array(photo, ctx=self._context) - means, strength, max(stages) + 1)
        return [(pictures[stage] + means).clip(0, 255).asnumpy() for stage in stages]


class OnnxNoiseEngine:
    """Runs the ONNX graphs of a model with onnxruntime."""

    def __init__(self, model: Model, threads: int | None, gpu: int | None):
        check_gpu(gpu)
        self._model, self._threads, self._gpu = model, threads, gpu
        self._sessions: dict = {}

    def weave(self, inputs: dict[str, np.ndarray], stages: Sequence[int]) -> list[np.ndarray]:
        """Returns the pictures of the stages, (1, 3, H, W) float32 in 0..255; inputs: (1, C, H, W) each, by name."""
        last = max(stages)
        if last not in self._sessions:
            path = self._model.path(graph_file(last, len(self._model.stages)))
            self._sessions[last] = open_session(path, self._threads, self._gpu)
        try:
            return self._sessions[last].run([f"stage_{stage}" for stage in stages], inputs)
        except Exception as error:
            if out_of_memory(error):
                raise MemoryError from error
            raise


class MxnetNoiseEngine:
    """Runs the Gluon blocks."""

    def __init__(self, model: Model, threads: int | None, gpu: int | None):
        from ..engines.mxnet import contexts
        from ..models.publish import load_chain

        self._context = contexts(None if gpu is None else str(gpu))[0]
        self._chain = load_chain(model, [self._context])

    def weave(self, inputs: dict[str, np.ndarray], stages: Sequence[int]) -> list[np.ndarray]:
        """Returns the pictures of the stages, (1, 3, H, W) float32; inputs: (1, C, H, W) each, regions first."""
        from ..engines.mxnet import mx
        from ..images.arrays import CHANNEL_MEANS

        means = np.reshape(CHANNEL_MEANS, (1, 3, 1, 1))
        given = mx.nd.array(np.concatenate(list(inputs.values()), axis=1), ctx=self._context)
        pictures = self._chain(given, 1.0, max(stages) + 1)
        return [pictures[stage].asnumpy() + means for stage in stages]
