#!/bin/sh
# What a GPU makes of trainings, by --engine torch, in under five minutes: benchmarks/gpu.sh PHOTOS [GPU]
# Steps of every task with four crops, beside PyTorch by hand; then a training with photos that are decoded, to its end.
set -e
photos=$1 gpu=${2:-0} out=$(mktemp -d)
style=$(python -c "import skimage; print(skimage.__path__[0] + '/data/coffee.png')")
python benchmarks/training.py --gpu "$gpu" --size 352 --batch 4 --runs 5
python benchmarks/training.py --gpu "$gpu" --size 448 --batch 4 --runs 5
for task in bing-xu texture doodle; do
    python benchmarks/training.py --gpu "$gpu" --task $task --size 256 --batch 4 --runs 5
done
python train.py --engine torch --gpus "$gpu" --style "$style" --photos "$photos" --out "$out/model" \
    --stages pyramid,pyramid --steps 200 400 --size 352 448 --batch 4 --checkpoint-every 200
python - "$out/model.training/log.jsonl" <<'END'
import json, sys

steps = [entry for entry in map(json.loads, open(sys.argv[1])) if "style" in entry and entry["phase"] == 1]
first, last = steps[100], steps[-1]  # after the graph was recorded, and threads have grown to as many as it takes
seconds, count = last["seconds"] - first["seconds"], last["step"] - first["step"]
waited = sum(entry["waited"] for entry in steps[101:])
print(f"{count / seconds:.1f} steps of four 448-pixel crops a second, photos included; {waited:.1f} of {seconds:.1f} s waited for them")
END
