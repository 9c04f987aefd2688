"""Trains a chain on a painting, from Python; needs pip install -e '.[train]'.

python examples/train_in_40_lines.py painting.jpg photos/ models/mine --steps 300 300 --size 192 256
"""

import argparse
from pathlib import Path

from e2e_art.training.options import TrainingOptions
from e2e_art.training.publish import publish_training
from e2e_art.training.trainer import Training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("painting", type=Path)
    parser.add_argument("photos", type=Path, help="any tree of photos")
    parser.add_argument("out", type=Path, help="folder of the model to write")
    parser.add_argument("--stages", default="pyramid,pyramid", help="kinds of generators (default: %(default)s)")
    parser.add_argument("--steps", type=int, nargs="+", default=[600, 600], help="of each stage")
    parser.add_argument("--size", type=int, nargs="+", default=[192, 256], help="edge of a crop in each stage")
    flags = parser.parse_args()

    options = TrainingOptions(
        styles=(str(flags.painting),),
        photos=str(flags.photos),
        stages=flags.stages,
        steps=tuple(flags.steps),
        sizes=tuple(flags.size),
    )
    training = Training(options, flags.out.with_suffix(".npz"), resume=True)  # goes on where it was stopped
    training.run(lambda step: print(f"{step.total_step}/{step.total_steps}: {step.losses}"))
    publish_training(training, flags.out)


if __name__ == "__main__":
    main()
