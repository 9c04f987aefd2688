"""What gradients flow through in PyTorch, and functions that are recorded as CUDA graphs, gradients and all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch

__all__ = ["autograd", "mode", "recorded"]

WARM_UP = 3  # calls before a CUDA graph is recorded, as PyTorch asks for: libraries choose their algorithms in them


class _Mode(threading.local):
    recording = training = False


mode = _Mode()


@contextmanager
def _in_mode(**modes: bool) -> Iterator[None]:
    before = {name: getattr(mode, name) for name in modes}
    vars(mode).update(modes)
    try:
        yield
    finally:
        vars(mode).update(before)


@contextmanager
def _recording(active: bool) -> Iterator[None]:
    with _in_mode(recording=active, training=active), torch.set_grad_enabled(active):
        yield


class autograd:
    """What gradients flow through: `with autograd.record():`; and whether batch norm takes the statistics at hand."""

    record, pause = partial(_recording, True), partial(_recording, False)
    train_mode, predict_mode = partial(_in_mode, training=True), partial(_in_mode, training=False)

    @staticmethod
    def backward(arrays: Sequence[torch.Tensor], wanted: Sequence) -> None:
        """Computes the gradients of the sum of arrays to what is wanted: parameters, or watched arrays."""
        leaves = [leaf for each in wanted for leaf in ([each] if isinstance(each, torch.Tensor) else each.leaves())]
        ones = [torch.ones_like(each) for each in arrays]
        for leaf, gradient in zip(leaves, torch.autograd.grad(list(arrays), leaves, ones, allow_unused=True)):
            leaf.kept_gradient = torch.zeros_like(leaf) if gradient is None else gradient  # type: ignore[union-attr]

    @staticmethod
    def watch(x: torch.Tensor) -> torch.Tensor:
        """Lets an array have a gradient, which `gradient` returns after `backward`."""
        return x.requires_grad_()

    @staticmethod
    def gradient(x: torch.Tensor) -> torch.Tensor:
        """Returns what `backward` has computed for a watched array."""
        return x.kept_gradient  # type: ignore[attr-defined]


def recorded(function: Callable, state: Sequence[torch.Tensor]) -> Callable:
    """Returns a function of arrays, ready to be called again and again.

    On a GPU with CUDA it is recorded once for each shape of its inputs, as a CUDA graph, and then played: thousands of
    small kernels would wait for Python.  So it must compute of its inputs, arrays on any device, and of `state`, the
    arrays that it changes, all the same way each time, and fetch nothing.  It returns a list of arrays.
    """
    return _Recorded(function, state) if state and state[0].is_cuda else function


class _Recorded:
    """A function as a CUDA graph for each shape of its inputs."""

    def __init__(self, function: Callable, state: Sequence[torch.Tensor]):
        self._function, self._state, self._device = function, state, state[0].device
        self._graphs: dict[tuple, tuple] = {}

    def __call__(self, *inputs: torch.Tensor) -> list[torch.Tensor]:
        shapes = tuple((*x.shape, x.dtype) for x in inputs)
        with torch.cuda.device(self._device):
            if shapes not in self._graphs:
                self._graphs[shapes] = self._record(inputs)
            graph, places, results = self._graphs[shapes]
            for place, x in zip(places, inputs):
                # Pinned, so that Python need not wait until the steps before are done.
                place.copy_(x if x.is_cuda else x.pin_memory(), non_blocking=True)
            graph.replay()
            return [result.clone() for result in results]

    def _record(self, inputs: Sequence[torch.Tensor]) -> tuple:
        places = [x.to(self._device, copy=True) for x in inputs]
        before = [x.clone() for x in self._state]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self._function(*places)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            results = self._function(*places)
        for x, value in zip(self._state, before):
            x.copy_(value)
        return graph, places, results
