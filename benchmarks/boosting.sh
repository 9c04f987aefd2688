#!/usr/bin/env bash
# One generator against two, three and four boosted ones, at equal training cost: the same number of steps in all, each step
# with one pass through the loss network.  Residual weights are such that 13 % of the photo is left after the last stage of
# each chain, and all are trained on the loss that they are evaluated by.  Prints the losses on other photos and writes the
# pictures of each chain.
#
#   benchmarks/boosting.sh PAINTING PHOTOS VALIDATION PICTURE OUT [STEPS]
set -euo pipefail
painting=$1 photos=$2 validation=$3 picture=$4 out=$5 steps=${6:-600}
python=${PYTHON:-python}
here=$(cd "$(dirname "$0")/.." && pwd)
kinds=
weights=(x 0.87 0.64 0.493 0.4)

for count in 1 2 3 4; do
    kinds=${kinds:+$kinds,}pyramid
    resume=$([ ! -e "$out/$count.training" ] || echo --resume)
    [ -e "$out/$count" ] || "$python" "$here/train.py" --style "$painting" --photos "$photos" --out "$out/$count" $resume \
        --stages "$kinds" --residual-weight "${weights[$count]}" --steps $((steps / count)) --size 192 --style-boost 1 --content-weight 1 \
        --content-layer relu4_2 --checkpoint-every 1000
    "$python" "$here/infer.py" "$picture" --model "$out/$count" -o "$out/picture-$count.jpg" --overwrite
done
"$python" -m e2e_art compare "$validation" --evaluations 0 --model "$out/1" "$out/2" "$out/3" "$out/4"
