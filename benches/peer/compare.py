"""Checks that Tessera and its PyTorch twin agree on the same weights, then times both in alternation.

Started by `benches/peer/run`. The network is `tests/golden/twin.py`; the loss is rewritten here from its description.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "golden"))
import twin  # noqa: E402

TOLERANCE = 1e-3
BLUR = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]).div(16).expand(4, 1, 3, 3).contiguous()


def band(x):
    return x - F.conv2d(x, BLUR.to(x.device), padding=1, groups=4)


def pyramid_loss(recon, target):
    """As src/train/pyramid.rs with all weights 1: mean absolute difference and four edge-weighted bands."""
    d = (recon - target).permute(0, 3, 1, 2)
    t = target.permute(0, 3, 1, 2)
    loss = d.abs().mean()
    for _ in range(4):
        edge = 1 + (4 * band(t).abs()).clamp(max=1)
        loss = loss + (band(d).abs() * edge).mean()
        d, t = F.avg_pool2d(d, 2), F.avg_pool2d(t, 2)
    return loss + d.abs().mean()


class NchwBlock(twin.Block):
    """The block on channels-first activations: 1x1 convolutions in place of linear layers."""

    def forward(self, x, wrap):
        d = self.depthwise
        y = F.conv2d(x, d.weight.permute(2, 0, 1).unsqueeze(1), d.bias, padding=1, groups=x.shape[1])
        y = y * torch.rsqrt(y.square().mean(1, keepdim=True) + 1e-6) * self.norm.gain[:, None, None]
        y = F.conv2d(y, self.up.weight[:, :, None, None], self.up.bias)
        y = F.conv2d(F.gelu(y, approximate="tanh"), self.down.weight[:, :, None, None], self.down.bias)
        return x + self.scale[:, None, None] * y


class NchwStage(twin.Stage):
    def blocks(self, x, wrap):
        return super().blocks(x.permute(0, 3, 1, 2).contiguous(), wrap).permute(0, 2, 3, 1).contiguous()


def as_nchw(codec):
    for module in codec.modules():
        if type(module) is twin.Block:
            module.__class__ = NchwBlock
        elif type(module) is twin.Stage:
            module.__class__ = NchwStage
    return codec


class Theirs:
    def __init__(self, model, data, nchw, device="cpu"):
        self.codec = twin.load_checkpoint(model).to(device)
        if nchw:
            as_nchw(self.codec)
        self.data = data
        # Its fastest way on each device.
        fused = {"fused": True} if device != "cpu" else {}
        self.optimiser = torch.optim.AdamW(self.codec.parameters(), lr=1e-6, weight_decay=0.01, **fused)
        self.ema = [p.detach().clone() for p in self.codec.parameters()]
        self.dropped = torch.zeros(data["crops"].shape[0], *[s // 4 for s in data["crops"].shape[1:3]], device=device)
        books = {n: getattr(self.codec, n).codebook for n in ("structure", "detail")}
        self.sums = {n: (torch.ones(len(b), device=b.device), b.clone()) for n, b in books.items()}

    def loss(self):
        x = self.data["crops"]
        recon, alone, commit, codes = self.codec.forward_train(x, self.dropped)
        return recon, pyramid_loss(recon, x) + 0.5 * pyramid_loss(alone, x) + 0.25 * commit, codes

    def step(self):
        self.optimiser.zero_grad(set_to_none=True)
        _, loss, codes = self.loss()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.codec.parameters(), 1.0)
        self.optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.ema, list(self.codec.parameters()), 0.001)
            for (size, total), code in zip(self.sums.values(), codes):
                # What a codebook's moving average costs at least: counts per code, and one pass over its sums.
                size.lerp_(torch.bincount(code.flatten(), minlength=len(size)).float(), 0.01)
                total.mul_(0.99)

    @torch.no_grad()
    def encode(self):
        return self.codec.encode(self.data["picture"])

    @torch.no_grad()
    def decode(self):
        return self.codec.decode(self.data["structure_codes"], self.data["detail_codes"])

    def product(self):
        a = torch.ones(2048, 2048)
        return a @ a


def check(theirs, data):
    """Largest differences, relative to each tensor's own size."""

    def compare(name, found):
        expected = data[name]
        scale = expected.abs().max().clamp(min=1e-3)
        difference = ((found - expected).abs().max() / scale).item()
        worst.append((difference, name))

    worst = []
    structure, structure_codes, detail, detail_codes = theirs.encode()
    compare("structure_vectors", structure)
    same = {
        "structure": (structure_codes == data["structure_codes"]).float().mean().item(),
        "detail": (detail_codes == data["detail_codes"]).float().mean().item(),
    }
    if same["structure"] == 1.0:  # detail depends on the structure codes, which may differ at near ties
        compare("detail_vectors", detail)
    compare("decoded", theirs.decode())
    recon, loss, _ = theirs.loss()
    compare("recon", recon.detach())
    compare("loss", loss.detach().reshape(1))
    theirs.codec.zero_grad(set_to_none=True)
    loss.backward()
    for name, parameter in theirs.codec.named_parameters():
        if parameter.grad is not None and f"grad.{name}" in data:
            compare(f"grad.{name}", parameter.grad)
    worst.sort(reverse=True)
    print(f"same codes: structure {same['structure']:.4%}, detail {same['detail']:.4%}")
    print("largest differences:", ", ".join(f"{name} {value:.1e}" for value, name in worst[:4]))
    assert worst[0][0] <= TOLERANCE, "the two do not agree"
    assert min(same.values()) > 0.999, "too many codes differ"


def worker_path():
    build = ["cargo", "build", "--release", "--bench", "peer_worker", "--message-format=json"]
    output = subprocess.run(build, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for line in output.splitlines():
        message = json.loads(line)
        if message.get("executable") and message["target"]["name"] == "peer_worker":
            return message["executable"]
    raise SystemExit("cargo built no peer_worker")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--worker", help="the built peer_worker")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        command = [args.worker or worker_path(), folder]
        ours = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert ours.stdout.readline().strip() == "ready"
        data = load_file(f"{folder}/ours.safetensors")
        model = f"{folder}/model.safetensors"
        layouts = {name: Theirs(model, data, name == "NCHW") for name in ("NHWC", "NCHW")}
        for theirs in layouts.values():
            check(theirs, data)

        def ask(task):
            ours.stdin.write(task + "\n")
            ours.stdin.flush()
            return float(ours.stdout.readline())

        def measure(work):
            started = time.perf_counter()
            work()
            return time.perf_counter() - started

        print(f"torch {torch.__version__}, {args.threads} threads, {args.rounds} rounds in alternation")
        for task in ("product", "step", "encode", "decode"):
            times = {name: [] for name in ("ours", *layouts)}
            for round in range(args.rounds + 1):
                found = {"ours": ask(task)}
                found |= {name: measure(getattr(theirs, task)) for name, theirs in layouts.items()}
                if round:  # the first one warms up
                    for name, seconds in found.items():
                        times[name].append(seconds)
            median = {name: statistics.median(values) for name, values in times.items()}
            best = {name: min(values) for name, values in times.items()}
            layout = min(layouts, key=lambda name: median[name])
            print(
                f"{task:8} median: ours {median['ours'] * 1e3:8.1f} ms, torch {layout} {median[layout] * 1e3:8.1f} ms,"
                f" ratio {median[layout] / median['ours']:.2f} | best: {best['ours'] * 1e3:8.1f},"
                f" {min(best[name] for name in layouts) * 1e3:8.1f},"
                f" ratio {min(best[name] for name in layouts) / best['ours']:.2f}"
            )
        ours.stdin.close()
        ours.wait()


if __name__ == "__main__":
    main()
