"""The options of a training: one value for each stage, defaults of each kind, and what a checkpoint compares."""

import pytest

from e2e_art.errors import OptionError
from e2e_art.models.folder import model_folders, read_model
from e2e_art.training.options import TrainingOptions

STAGES = ("residual_weights", "steps", "sizes", "learning_rates", "style_boosts")
KINDS = ("chain", "texture", "doodle")


def options_of(kind: str = "chain", **options) -> TrainingOptions:
    loss = options.pop("loss", {"content_weight": 0.0} if kind == "texture" else {})
    description = {**TrainingOptions().describe()["loss"], **loss}
    return TrainingOptions.of({"kind": kind, "loss": description, **options})


@pytest.mark.parametrize(
    ("kind", "options", "count"),
    [
        *((kind, {}, None) for kind in KINDS),
        ("chain", {"stages": "conv"}, 1),
        ("chain", {"stages": "conv," * 5 + "conv"}, 6),
        ("texture", {"stages": "boosted-texture"}, 2),
        ("doodle", {"stages": "boosted-doodle", "regions": 3}, 2),
    ],
)
def test_there_is_one_value_for_each_stage(kind, options, count):
    made = options_of(kind, **options)
    count = count or {"chain": 4, "texture": 1, "doodle": 1}[kind]
    assert [len(getattr(made, name)) for name in STAGES] == [count] * 5
    assert [stage["residual_weight"] for stage in made.generators()] == list(made.residual_weights)


def test_one_value_is_that_of_all_stages_and_several_are_theirs():
    made = options_of(steps=[10], sizes=[64, 96, 128, 160], residual_weights=[0.3], learning_rates=[1e-3])
    assert made.steps == (10,) * 4 and made.residual_weights == (0.3,) * 4 and made.learning_rates == (1e-3,) * 4
    assert made.sizes == (64, 96, 128, 160) and made.style_boosts == (1.0, 1.0, 1.1, 1.0)
    assert options_of(stages="pyramid,pyramid").steps == (1600, 1400)
    assert options_of(stages="pyramid," * 5 + "pyramid").steps == (1600, 1400, 900, 1400, 1400, 1400)


def test_a_description_makes_the_same_options_again():
    made = options_of(steps=[10], styles=["a.jpg", "b.jpg"], style_blend=[1, 2], seed=3)
    assert TrainingOptions.of(made.describe()) == made
    assert made.differences(made.describe()) == ""
    assert made.differences({**made.describe(), "steps": [10]}) == ""  # as records of version 0.1 have it
    assert made.differences({**made.describe(), "seed": 4, "steps": [9]}) == "seed: 4, steps: [9, 9, 9, 9]"


@pytest.mark.parametrize("description", [{"loss": 5}, {"loss": {}, "steps": "abc"}, {"loss": {}, "x": 1}, [1], None, 5])
def test_a_description_of_something_else_differs(description):
    assert "kind" in TrainingOptions().differences(description)


@pytest.mark.parametrize("folder", model_folders(), ids=lambda folder: folder.name)
def test_records_of_shipped_models_can_be_read(folder):
    model = read_model(folder)
    options = TrainingOptions.of(model.record["options"])
    assert options.kind == model.kind.name
    assert [len(getattr(options, name)) for name in STAGES] == [len(model.stages)] * 5
    weights = [stage["residual_weight"] for stage in model.stages]
    assert list(options.residual_weights) == weights


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"coupling": "x"}, "unknown coupling 'x': choose staged, straight-through or joint"),
        ({"optimizer": "x"}, "unknown optimizer 'x': choose muon or adam"),
        (
            {"kind": "x"},
            "unknown kind of model 'x': choose chain, multistyle, anystyle, texture, doodle, upscaler or autoencoder",
        ),
        ({"batch": 0}, "--batch takes a whole number of 1 or more, not 0"),
        ({"batch": -1}, "--batch takes a whole number of 1 or more, not -1"),
        ({"batch": 1.5}, "entry 'batch': expected int, got float"),
        ({"style_size": 10**9}, "--style-size takes a whole number from 1 to 100000, not 1000000000"),
        ({"learning_rates": [float("nan")]}, "--learning-rate takes a number above 0, not nan"),
        ({"stages": "conv," * 16 + "conv"}, "at most 16 stages"),
        ({"stages": 3}, "entry 'stages': expected str, got int"),
        ({"loss": {"style_weight": "much"}}, "entry 'loss.style_weight': expected float, got str"),
        ({"oil": 1}, "there is no option 'oil'"),
        ({"gradient_clip": 0.0}, "--gradient-clip takes a number above 0, not 0.0"),
        ({"steps": [1, 2]}, "--steps takes one number for all 4 stages, or 4, not 2"),
        ({"sizes": [16]}, "--size takes a whole number from 32 to 100000, not 16"),
    ],
)
def test_what_makes_no_sense_is_refused(options, says):
    with pytest.raises(OptionError, match=says):
        options_of(**options)
