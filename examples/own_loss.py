"""Paints a photo with one loss term of its own: the mean color that the painting should have.

python examples/own_loss.py photo.jpg painting.jpg out.png --color ffb060 --weight 0.01
"""

import argparse

import numpy as np

import e2e_art
from e2e_art.engines.gluon import array, autograd, nd, to_numpy
from e2e_art.images.arrays import from_vgg_space, to_vgg_space
from e2e_art.images.resize import resize_long_edge
from e2e_art.losses.options import LossOptions
from e2e_art.losses.perceptual import PerceptualLoss
from e2e_art.losses.style_target import StyleTarget


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
    x, mean, square = photo.copy(), np.zeros_like(photo), np.zeros_like(photo)  # (1, 3, H, W): its pixels change
    for step in range(1, flags.steps + 1):
        picture = autograd.watch(array(x))
        with autograd.record():
            terms = loss(picture, features)  # by name, weighted: style, content, tv
            away = nd.square(nd.mean(picture, axis=(2, 3), keepdims=True) - color)
            terms["color"] = flags.weight * nd.mean(away, axis=(1, 2, 3))
        autograd.backward(list(terms.values()), [picture])
        gradient = to_numpy(autograd.gradient(picture))
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        x -= 2.0 * mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)  # Adam: 2 gray levels a step
        print(f"{step}: " + ", ".join(f"{name} {to_numpy(term)[0]:.3f}" for name, term in terms.items()))
    e2e_art.write_image(flags.out, from_vgg_space(x), overwrite=True)


if __name__ == "__main__":
    main()
