"""What generators cost: multiply-adds a pixel of every kind, and of the preset chains.

python benchmarks/multiply_adds.py
"""

from __future__ import annotations

import math

import onnx

from e2e_art.engines.onnx import Graph
from e2e_art.networks.chain import Chain, make_generator
from e2e_art.training.stages import PRESETS


def multiply_adds(generator) -> float:
    """Returns how many multiply-adds a generator's convolutions spend on each pixel, borders aside."""
    edge, graph = 1024 * generator.multiple, Graph()  # so large that borders count for nothing
    same = make_generator(**generator.describe())
    same.initialize()
    picture = graph.input("picture", [1, same.inputs, edge, edge])
    graph.output("painting", same(picture, graph.input("strength", [1])), [1, 3, edge, edge])
    model = onnx.load_model_from_string(graph.serialized(same.kind))
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    shapes = {constant.name: list(constant.dims) for constant in inferred.initializer}
    for place in (*inferred.input, *inferred.value_info):
        shapes[place.name] = [axis.dim_value for axis in place.type.tensor_type.shape.dim]

    total = 0
    for node in inferred.node:
        made = shapes.get(node.output[0], [])
        if node.op_type == "Conv":  # all its weights for each pixel that it makes
            total += math.prod(shapes[node.input[1]]) * math.prod(made[2:])
        elif node.op_type == "ConvTranspose":  # all its weights for each pixel that it takes
            total += math.prod(shapes[node.input[1]]) * math.prod(shapes[node.input[0]][2:])
        elif node.op_type == "Resize" and b"linear" in [each.s for each in node.attribute]:
            total += 4 * math.prod(made)  # neighbors of each number that it makes
    return total / edge**2


def main() -> None:
    for name in ("boosted", "bing-xu", "johnson", "johnson-half"):
        costs = [multiply_adds(generator) for generator in Chain(PRESETS[name]).generators]
        print(f"{name}: {' + '.join(f'{cost:,.0f}' for cost in costs)} = {sum(costs):,.0f} multiply-adds a pixel")


if __name__ == "__main__":
    main()
