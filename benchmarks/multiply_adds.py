"""What generators cost: multiply-adds a pixel of every kind, and of the preset chains.

python benchmarks/multiply_adds.py
"""

from __future__ import annotations

import ast
import json
import math

from e2e_art.engines.mxnet import mx
from e2e_art.networks.chain import Chain
from e2e_art.training.options import PRESETS


def multiply_adds(generator) -> float:
    """Returns how many multiply-adds a generator's convolutions spend on each pixel, borders aside."""
    edge = 8 * generator.multiple
    symbol = generator(mx.sym.var("picture"), mx.sym.var("strength"))
    internals = symbol.get_internals()
    _, shapes, _ = internals.infer_shape(picture=(1, generator.inputs, edge, edge), strength=(1,))
    shapes = dict(zip(internals.list_outputs(), shapes))
    nodes = json.loads(symbol.tojson())["nodes"]

    def shape(index: int) -> tuple[int, ...]:
        name = nodes[index]["name"]
        return shapes[name] if nodes[index]["op"] == "null" else shapes[f"{name}_output"]

    total = 0
    for index, node in enumerate(nodes):
        if node["op"] in ("Convolution", "Deconvolution"):
            # A convolution spends all its weights on each pixel it makes; a deconvolution, one in stride x stride.
            strides = ast.literal_eval(node["attrs"]["stride"]) if node["op"] == "Deconvolution" else (1,)
            total += math.prod(shape(node["inputs"][1][0])) * math.prod(shape(index)[2:]) / math.prod(strides)
    return total / edge**2


def main() -> None:
    for name in ("boosted", "bing-xu"):
        costs = [multiply_adds(generator) for generator in Chain(PRESETS[name]).generators]
        print(f"{name}: {' + '.join(f'{cost:,.0f}' for cost in costs)} = {sum(costs):,.0f} multiply-adds a pixel")


if __name__ == "__main__":
    main()
