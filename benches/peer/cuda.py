"""Times Tessera and its PyTorch twin on one NVIDIA card, on the base model: the table of benches/README.md.

Started by `benches/peer/run --device cuda`. Tessera's side is `tessera-cli bench --device cuda`; PyTorch's is compare.py's, eager and
compiled, in its faster memory layout, with TF32 products as Tessera has them where its self-test allows.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import time

import compare
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
CROP_PX, PICTURE_PX = 128, 1024


def ours(cli, batch, rounds, canvas):
    """What one run of Tessera's own bench says, as it prints it with --json."""
    command = [cli, "bench", "--device", "cuda", "--json", "--batch", str(batch), "--rounds", str(rounds)]
    command += ["--canvas", canvas, "--dabs", "100"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    for line in reversed(lines):
        found = find(json.loads(line), "training")
        if found:
            return found
    raise SystemExit("tessera-cli bench printed no report")


def find(value, key):
    """The object that holds `key`, wherever it lies."""
    if not isinstance(value, dict):
        return None
    if key in value:
        return value
    return next((found for part in value.values() if (found := find(part, key))), None)


def median_ms(work, rounds, warm_up=3):
    times = []
    for round in range(rounds + warm_up):
        torch.cuda.synchronize()
        started = time.perf_counter()
        work()
        torch.cuda.synchronize()
        if round >= warm_up:
            times.append((time.perf_counter() - started) * 1e3)
    return statistics.median(times)


def data_for(batch):
    generator = torch.Generator(device="cuda").manual_seed(1)
    pixels = lambda *shape: torch.rand(*shape, 4, device="cuda", generator=generator) * 2 - 1
    codes = lambda side, count: torch.randint(count, (1, side, side), device="cuda", generator=generator)
    return {
        "crops": pixels(batch, CROP_PX, CROP_PX),
        "picture": pixels(1, PICTURE_PX, PICTURE_PX),
        "structure_codes": codes(PICTURE_PX // 16, 1024),
        "detail_codes": codes(PICTURE_PX // 4, 1024),
    }


def theirs(model, batch, rounds, compiled, layouts):
    """Times by task; of each the faster layout."""
    found = {}
    for nchw in layouts:
        peer = compare.Theirs(model, data_for(batch), nchw, "cuda")
        if compiled:
            peer.loss = torch.compile(peer.loss)
        for task in ("step", "encode", "decode") if not compiled else ("step",):
            taken = median_ms(getattr(peer, task), rounds)
            name = "NCHW" if nchw else "NHWC"
            found[task] = min(found.get(task, (taken, name)), (taken, name))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--cli", default=str(ROOT / "target/cuda/bin/tessera-cli"), help="made by packaging/linux/build-cuda")
    parser.add_argument("--model", default=str(ROOT / "models/base.safetensors"))
    parser.add_argument("--batches", default="8,64")
    parser.add_argument("--layouts", default="NHWC,NCHW")
    parser.add_argument("--no-compile", action="store_true")
    args = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    layouts = [name == "NCHW" for name in args.layouts.split(",")]
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, TF32, medians of {args.rounds}")
    print("| | Tessera | PyTorch eager | compiled |\n|---|---|---|---|", flush=True)
    rate = lambda batch, taken: f"{taken:.1f} ms ({batch * 1e3 / taken:,.0f} pictures/s)"
    last = None
    for batch in map(int, args.batches.split(",")):
        last = ours(args.cli, batch, args.rounds, "2048")
        eager = theirs(args.model, batch, args.rounds, False, layouts)
        compiled = {} if args.no_compile else theirs(args.model, batch, args.rounds, True, [eager["step"][1] == "NCHW"])
        cells = [rate(batch, last["training"]["step_ms"]), f"{rate(batch, eager['step'][0])} {eager['step'][1]}"]
        cells += [rate(batch, compiled["step"][0]) if compiled else "not measured"]
        print(f"| step, batch {batch} of {CROP_PX}² | " + " | ".join(cells) + " |", flush=True)
    megapixels = PICTURE_PX**2 / 1e6
    for task in ("encode", "decode"):
        speed = last["pictures"][f"{task}_megapixels_per_second"]
        taken, layout = eager[task]
        print(f"| {task} of {PICTURE_PX}² | {megapixels / speed * 1e3:.2f} ms | {taken:.2f} ms {layout} | |")
    for dab in last["dabs"]:
        print(f"| dab, {dab['level']}, p95 | {dab['p95_ms']:.2f} ms | | |", flush=True)


if __name__ == "__main__":
    main()
