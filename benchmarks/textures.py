"""Textures in one pass, beside the descent from noise: the loss of each, its seconds, and what a network is worth.

python benchmarks/textures.py [MODEL ...]
"""

import time

import numpy as np
from interleaved import command_line, table

from e2e_art.compare import evaluations_worth
from e2e_art.judge import STYLE_FILE, unpack_targets
from e2e_art.losses import PerceptualLoss
from e2e_art.models import list_shipped, read_model
from e2e_art.optimize import noise_picture, optimize
from e2e_art.options import DescentOptions, LossOptions

SIZE = 256
SEEDS = range(4)
EVALUATIONS = 60  # of L-BFGS, at most
LOSS = LossOptions(content_weight=0.0)


def curve_from_noise(targets, seed: int) -> tuple[list[float], list[float]]:
    """Returns the lowest total after 0, 1, 2 ... evaluations from noise, and the seconds spent until then."""
    curve: list[float] = []
    seconds: list[float] = []

    def on_evaluation(evaluation, picture) -> None:
        curve.append(evaluation.best)
        seconds.append(evaluation.seconds)

    options = DescentOptions(steps=EVALUATIONS + 1, tolerance=0, loss=LOSS)
    optimize(noise_picture(SIZE, SIZE, seed), [], None, options, targets=targets, on_evaluation=on_evaluation)
    return curve, seconds


def main() -> None:
    from e2e_art.backend import mx
    from e2e_art.images import to_vgg_space
    from e2e_art.weave import load_texture

    parser = command_line(__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="all shipped textures if left out")
    options = parser.parse_args()
    models = [read_model(name) for name in options.models or list_shipped()]
    rows = []
    for model in [model for model in models if model.kind == "texture"]:
        targets = unpack_targets(model.path(STYLE_FILE).read_bytes())
        judge = PerceptualLoss(LOSS, targets)
        weave = load_texture(model.folder, threads=options.threads)
        weave(SIZE, SIZE)  # the first call prepares
        curves = [curve_from_noise(targets, seed) for seed in SEEDS]
        curve = np.mean([curve for curve, _ in curves], axis=0)
        seconds = np.mean([seconds for _, seconds in curves], axis=0)
        for stage in range(len(model.stages)):
            totals, took = [], []
            for seed in SEEDS:
                began = time.perf_counter()
                texture = weave(SIZE, SIZE, seed, stage)
                took.append(time.perf_counter() - began)
                totals.append(
                    sum(float(term.asscalar()) for term in judge(mx.nd.array(to_vgg_space(texture)), []).values())
                )
            total, once = float(np.mean(totals)), float(np.median(took))
            worth = evaluations_worth(curve, total)
            until = seconds[min(int(np.ceil(worth)), EVALUATIONS)] if np.isfinite(worth) else np.inf
            figures = (f"{total:.3f}", f"{once:.3f}", f"{worth:.1f}", f"{until:.1f}", f"{until / once:.0f}")
            rows.append([f"{model.name}, stage {stage}", *figures])
    print(table(["texture", "total", "seconds", "worth", "seconds of L-BFGS to there", "times faster"], rows))


if __name__ == "__main__":
    main()
