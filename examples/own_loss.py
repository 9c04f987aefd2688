"""Paints a photo with one loss term of its own: the mean color that the painting should have.

python examples/own_loss.py photo.jpg painting.jpg out.png --color ffb060 --weight 0.01
"""

import argparse
from contextlib import suppress

import numpy as np

import e2e_art
from e2e_art.engines.gluon import array, autograd, nd, to_numpy
from e2e_art.images.arrays import from_vgg_space, to_vgg_space
from e2e_art.images.resize import resize_long_edge
from e2e_art.losses.options import LossOptions
from e2e_art.losses.perceptual import PerceptualLoss
from e2e_art.losses.style_target import StyleTarget
from e2e_art.optimize.solvers import StopOptimization, lbfgs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("photo", "painting", "out"):
        parser.add_argument(name)
    parser.add_argument("--color", default="ffb060", help="mean color to reach, rrggbb (default: %(default)s)")
    parser.add_argument("--weight", type=float, default=0.01, help="of that term (default: %(default)s)")
    parser.add_argument("--size", type=int, default=400, help="long edge of both pictures (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=200)
    flags = parser.parse_args()

    paths = (flags.photo, flags.painting)
    photo, painting = (to_vgg_space(resize_long_edge(e2e_art.read_image(path), flags.size)) for path in paths)
    color = array(to_vgg_space(np.array([[list(bytes.fromhex(flags.color))]], np.uint8)))  # (1, 3, 1, 1)
    loss = PerceptualLoss(LossOptions(), StyleTarget.of(LossOptions(), [painting]))
    features = loss.content_features(array(photo))
    seen: list[np.ndarray] = []

    def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
        """Returns the total loss of a picture (1, 3, H, W), and its gradient."""
        if len(seen) == flags.steps:
            raise StopOptimization
        seen.append(x)
        picture = autograd.watch(array(x))
        with autograd.record():
            terms = loss(picture, features)  # by name, weighted: style, content, tv
            away = nd.square(nd.mean(picture, axis=(2, 3), keepdims=True) - color)
            terms["color"] = flags.weight * nd.mean(away, axis=(1, 2, 3))
            total = sum(terms.values())
        autograd.backward([total], [picture])
        print(f"{len(seen)}: " + ", ".join(f"{name} {to_numpy(term)[0]:.3f}" for name, term in terms.items()))
        return float(to_numpy(total)[0]), to_numpy(autograd.gradient(picture))

    with suppress(StopOptimization):
        low, high = (to_vgg_space(np.full((*photo.shape[2:], 3), level, np.uint8)) for level in (0, 255))
        lbfgs(evaluate, photo, low, high, None)
    e2e_art.write_image(flags.out, from_vgg_space(seen[-1]), overwrite=True)


if __name__ == "__main__":
    main()
