"""A chain as ONNX graphs, so that a model paints without MXNet or PyTorch: in onnxruntime, a browser, a phone.

Runtimes compute all of a graph, wanted or not, so that stopping at an earlier stage takes a graph that ends there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
from onnx import TensorProto

from ..engines.onnx import Graph, TileGraph, Value
from ..images.arrays import CHANNEL_MEANS
from ..networks.autoencoder import Autoencoder
from ..networks.chain import Chain, UpscaleChain
from ..networks.inputs import noise_tile
from ..networks.styled import DESCRIBER, AnyStyleChain
from ..networks.wct import LEVELS, widths_of
from .folder import DESCRIBE_FILE, LEARNED, NOISE_FILE, VECTORS_FILE, coding_files, graph_file, tile_file, weight_name
from .kinds import KINDS
from .learned import learned_stage
from .quantization import SCALE, dequantize
from .weights_file import offsets, read_weights, write_weights

__all__ = ["any_style_graphs", "autoencoder_graphs", "noise_graphs", "photo_graphs", "upscaler_graphs"]

PICTURE: list = ["N", 3, "H", "W"]


def photo_graphs(chain: Chain, name: str, stage_files: Sequence[str], files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Returns the ONNX graphs of a chain that paints photos, by file name, and the noise that all of them read.

    For each stage the graph that ends there, and that of the stage alone.
    name: the model's name, kept in the graphs.  stage_files: the weights' file of each stage.  files: the contents of
    those, beside which the graphs will lie: they point into them, so that weights are kept once.
    """
    graphs, count = {NOISE_FILE: noise_tile().tobytes()}, len(chain.generators)
    exporter = _Exporter(chain, name, stage_files, {**files, **graphs})
    for index in range(count):
        graphs[graph_file(index, count)] = exporter.photo_graph(index)
        graphs[tile_file(index)] = exporter.stage_graph(index)
    return graphs


def noise_graphs(chain: Chain, name: str, stage_files: Sequence[str], files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Returns the ONNX graphs of a chain that paints noise, as `photo_graphs`, without those of stages alone."""
    exporter, count = _Exporter(chain, name, stage_files, files), len(chain.generators)
    return {graph_file(index, count): exporter.noise_graph(index) for index in range(count)}


def upscaler_graphs(
    chain: UpscaleChain, name: str, stage_files: Sequence[str], files: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Returns the ONNX graphs of an upscaler, as `photo_graphs`: one for each stage, with no weight of its own."""
    exporter, count = _Exporter(chain, name, stage_files, files), len(chain.generators)
    return {graph_file(index, count): exporter.upscaler_graph(chain, index) for index in range(count)}


def autoencoder_graphs(
    chain: Autoencoder, name: str, stage_files: Sequence[str], files: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Returns the ONNX graphs of an autoencoder, as `photo_graphs`: for each level one to it, and one back."""
    exporter, graphs = _Exporter(chain, name, stage_files, files), {}
    for level in LEVELS:
        encoder, decoder = coding_files(level)
        graphs[encoder], graphs[decoder] = exporter.encoder(chain, level), exporter.decoder(chain, level)
    return graphs


def any_style_graphs(
    chain: AnyStyleChain, name: str, stage_files: Sequence[str], files: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Returns the ONNX graphs of a chain that paints in any style, as `photo_graphs`, and what learns a style of it.

    That is a graph that describes paintings, the names in its style vectors, and the graphs of the ordinary models that
    `models/learned.py` makes.
    """
    graphs = photo_graphs(chain, name, stage_files, files)
    graphs[DESCRIBE_FILE] = _Exporter(chain, name, stage_files, files).describer_graph(chain)
    names = [stage.vector_names() for stage in chain.styled]
    graphs[VECTORS_FILE] = json.dumps(names).encode()
    description, own = np.zeros(chain.describer.length), {}
    plain = Chain([stage.generator.describe() for stage in chain.styled])
    plain.initialize()
    for index, (file, vectors) in enumerate(zip(stage_files, names)):
        arrays = learned_stage(read_weights(files[file]), vectors, description)
        own[file] = write_weights(arrays)
        whole = {**chain.stage_weights(index), **dequantize({name: arrays[name] for name, _ in vectors})}
        plain.set_stage_weights(index, {name: whole[name] for name in plain.stage_weights(index)})
    exporter = _Exporter(plain, name, stage_files, {**own, NOISE_FILE: graphs[NOISE_FILE]}, inline=False)
    count = len(chain.generators)
    for index in range(count):
        graphs[LEARNED + graph_file(index, count)] = exporter.photo_graph(index)
        graphs[LEARNED + tile_file(index)] = exporter.stage_graph(index)
    return graphs


class _Exporter:
    """Records graphs of a chain; arguments as for `photo_graphs`; inline: whether graphs hold short weights."""

    def __init__(
        self, chain: Chain, name: str, stage_files: Sequence[str], files: Mapping[str, bytes], inline: bool = True
    ):
        self.chain, self.name, self.stage_files, self.files, self.inline = chain, name, stage_files, files, inline
        self.means = np.reshape(CHANNEL_MEANS, (1, 3, 1, 1))

    def photo_graph(self, last: int) -> bytes:
        """Returns a chain that paints photos, up to a stage.

        Inputs: `image` (N, 3, H, W), RGB in 0..255, any H, W >= 1; `strength` (1,), 1 for the trained look, without a
        default, which runtimes in browsers could not override.
        Outputs, here and of `noise_graph`: `stage_0`, `stage_1`, ..., each as large as the image.
        """
        graph = Graph()
        image, strength = graph.input("image", PICTURE), graph.input("strength", [1])
        noise = graph.constant(noise_tile(), np.int8, name="noise")
        graph.store(noise, NOISE_FILE, self.files[NOISE_FILE])
        graph.parameters[self.chain.noise.tile] = graph.add("Cast", noise, to=TensorProto.FLOAT)
        return self._painted(graph, last, image - graph.constant(self.means), strength, *self._style(graph))

    def stage_graph(self, index: int) -> bytes:
        """Returns one stage of a chain, for tiled inference.

        Inputs: `picture` (N, 3 or 7, H, W), what the generator takes, in VGG space, padded, sides multiples of the
        chain's; `strength` (1,); and where there are instance normalizations, `statistics` and `own` as in `TileGraph`.
        Outputs: `painting` (N, 3, H, W) in VGG space; `measured` (2, S).
        """
        graph, generator = TileGraph(), self.chain.generators[index]
        self._give_weights(graph, index)
        picture = graph.input("picture", ["N", generator.inputs, "H", "W"])
        painting = generator(picture, graph.input("strength", [1]), *self._style(graph))
        graph.output("painting", painting, PICTURE)
        return graph.serialized(self.name)

    def noise_graph(self, last: int) -> bytes:
        """Returns a chain that paints noise, a texture or a doodle, up to a stage.

        Inputs: `noise` (N, C, H, W), so that a seed gives the same picture everywhere; and for a doodle, which is
        padded, `regions` (N, R, H, W), a plane for each, 1 where it is and 0 elsewhere.
        """
        graph, kind = Graph(), KINDS[self.chain.kind]
        planes = {"noise": kind.noise_planes}
        if kind.paints_regions:
            planes = {"regions": self.chain.generators[0].regions, **planes}
        given = [graph.input(name, ["N", count, "H", "W"]) for name, count in planes.items()]
        return self._painted(graph, last, graph.concat(*given, dim=1), graph.constant([1.0]))

    def upscaler_graph(self, chain: UpscaleChain, index: int) -> bytes:
        """Returns one stage of an upscaler.

        Input: `image` (N, 3, H, W), RGB in 0..255, any H, W >= 1.  Output: `stage_K` (N, 3, f H, f W).
        """
        graph = Graph()
        self._give_weights(graph, index)
        given, means = graph.input("image", PICTURE), graph.constant(self.means)
        large = ["N", 3, f"{chain.factor} H", f"{chain.factor} W"]
        graph.output(f"stage_{index}", graph.clip(chain.enlarge(index, given - means) + means, 0, 255), large)
        return graph.serialized(self.name)

    def encoder(self, chain: Autoencoder, level: int) -> bytes:
        """Returns the student up to a level.

        Input: `image` (N, 3, H, W), RGB in 0..255, sides multiples of 16.  Output: `features` (N, C, H / 2^(level - 1),
        W / 2^(level - 1)).
        """
        graph = Graph()
        self._give_weights(graph, 0)
        features = chain.student(graph.input("image", PICTURE) - graph.constant(self.means))
        graph.output("features", features[level - 1], self._shape(chain, level))
        return graph.serialized(self.name)

    def decoder(self, chain: Autoencoder, level: int) -> bytes:
        """Returns the way back from a level: input `features`, output `image`, as in `encoder`."""
        graph = Graph()
        self._give_weights(graph, level)
        picture = chain.decoder(level)(graph.input("features", self._shape(chain, level)))
        graph.output("image", graph.clip(picture + graph.constant(self.means), 0, 255), PICTURE)
        return graph.serialized(self.name)

    def _shape(self, chain: Autoencoder, level: int) -> list:
        sides = ["H", "W"] if level == 1 else [f"{side} / {2 ** (level - 1)}" for side in "HW"]
        return ["N", widths_of(chain.student.width)[level - 1], *sides]

    def describer_graph(self, chain: AnyStyleChain) -> bytes:
        """Returns what describes a painting.

        Input: `painting` (1, 3, H, W), RGB in 0..255, sides multiples of 16.  Output: `style` (1, D).
        """
        graph, weights = Graph(), chain.stage_weights(0)
        for key, parameter in chain.describer.named_parameters().items():
            name = DESCRIBER + key
            graph.parameters[parameter] = self._weight(graph, 0, name, weights[name], self.stage_files[0])
        painting = graph.input("painting", [1, *PICTURE[1:]]) - graph.constant(self.means)
        graph.output("style", chain.describer(painting), [1, chain.describer.length])
        return graph.serialized(self.name)

    def _style(self, graph: Graph) -> list[Value]:
        """Returns the input `style` (S,) of a chain of several styles, or of any, as that takes it, (1, S)."""
        form = self.chain.generators[0].describe()
        count = form.get("styles", form.get("described", 0))
        return [graph.reshape(graph.input("style", [count]), (1, count))] if count else []

    def _painted(self, graph: Graph, last: int, given: Value, strength: Value, *style: Value) -> bytes:
        """Returns a graph with the stages up to one, which paint what is given, each with its output."""
        picture, conditioning = self.chain.begin(given, (0, 0), *style)
        for index, generator in enumerate(self.chain.generators[: last + 1]):
            self._give_weights(graph, index)
            picture = generator(
                self.chain.seen(index, picture, conditioning), strength, *self.chain.style_of(index, conditioning)
            )
            colors = self.chain.crop(picture, given) + graph.constant(self.means)
            graph.output(f"stage_{index}", graph.clip(colors, 0, 255), PICTURE)
        return graph.serialized(self.name)

    def _give_weights(self, graph: Graph, index: int) -> None:
        """Gives a graph the weights of a stage as the files hold them, for single precision when a runtime loads it.

        Large ones stay in the file of the stage; those that stages share are given once.
        """
        file, weights = self.stage_files[index], self.chain.stage_weights(index)
        for key, parameter in self.chain.generators[index].named_parameters().items():
            if parameter not in graph.parameters:
                graph.parameters[parameter] = self._weight(graph, index, key, weights[key], file)

    def _weight(self, graph: Graph, stage: int, key: str, weight: np.ndarray, file: str) -> Value:
        name = f"stage_{stage}.{key}"
        arrays = KINDS[self.chain.kind].keep(name, weight)
        if arrays[name].dtype == np.float32 and self.inline:
            return graph.constant(arrays[name], name=name)
        kept = graph.constant(arrays[name], arrays[name].dtype, name=weight_name(stage, key))
        graph.store(kept, file, self.files[file], offsets(self.files[file])[key])
        if arrays[name].dtype == np.float32:
            return kept
        if name + SCALE not in arrays:
            return graph.add("Cast", kept, name=name, to=TensorProto.FLOAT)
        scales = graph.constant(arrays[name + SCALE], name=name + SCALE)
        return graph.add("Mul", graph.add("Cast", kept, name=f"{name}.cast", to=TensorProto.FLOAT), scales, name=name)
