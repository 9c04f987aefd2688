"""onnxruntime: the one place that opens its sessions."""

from __future__ import annotations

from ..errors import UserError

__all__ = ["check_gpu", "has_gpu", "open_session", "out_of_memory"]


def has_gpu() -> bool:
    """Returns whether this onnxruntime can compute on GPUs."""
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def check_gpu(gpu: int | None) -> None:
    """Raises UserError where a GPU is asked for, and this onnxruntime has none; None is the CPU."""
    if gpu is not None and not has_gpu():
        raise UserError(f"onnxruntime finds no GPU {gpu}: leave --gpu out, or pip install onnxruntime-gpu")


def open_session(graph, threads: int | None = None, gpu: int | None = None, settings=None, thrifty: bool = False):
    """Returns a session of an ONNX graph, ready to run.

    graph: a file's path, or the bytes of a self-contained model.  threads: how many to use, all cores by default.
    gpu: the number of a GPU; None is the CPU.  settings: SessionOptions to begin with.  thrifty: give memory back after
    each operator instead of keeping it for the next run.

    Raises UserError where there is no such GPU, or no graph that can be read.
    """
    import onnxruntime

    check_gpu(gpu)
    settings = settings or onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.enable_cpu_mem_arena = settings.enable_cpu_mem_arena and not thrifty
    if threads:
        settings.intra_op_num_threads = threads
    providers: list = ["CPUExecutionProvider"]
    if gpu is not None:
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": gpu}))
    try:
        session = onnxruntime.InferenceSession(
            graph if isinstance(graph, bytes) else str(graph), settings, providers=providers
        )
    except Exception as error:  # onnxruntime raises kinds of its own, none public
        name = "The graph" if isinstance(graph, bytes) else graph
        raise UserError(f"{name} cannot be loaded ({error}): get a whole copy") from error
    if gpu is not None and "CUDAExecutionProvider" not in session.get_providers():
        raise UserError(f"onnxruntime could not use GPU {gpu}: leave --gpu out, or check its driver")
    return session


def out_of_memory(error: Exception) -> bool:
    """Returns whether an error of a session's run means that memory did not suffice."""
    return "alloc" in str(error).lower()
