"""The codec's network in PyTorch, written from its description and not from the Rust code.

Parameter names, shapes and the config are those of a Tessera checkpoint, so `load_checkpoint` reads one.
Tensors are NHWC, as Tessera's are. Convolutions see the same memory as channels-last NCHW, PyTorch's fast layout.
Needs torch and safetensors; imports nothing else of this repository.
"""

import json

import torch
import torch.nn.functional as F
from torch import nn

EMPTY = 0xFFFFFFFF  # a detail cell without a code


class Norm(nn.Module):
    """RMSNorm over channels."""

    def __init__(self, channels):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels))

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.gain, eps=1e-6)


class Depthwise(nn.Module):
    """A 3x3 kernel per channel; `wrap` = (x, y) says which axes wrap around, the others read zero outside."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 3, channels) / 3)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x, wrap):
        channels = x.shape[-1]
        kernel = self.weight.permute(2, 0, 1).unsqueeze(1)
        x = x.permute(0, 3, 1, 2)
        if wrap == (False, False):
            x = F.conv2d(x, kernel, self.bias, padding=1, groups=channels)
        else:
            x = F.pad(x, (1, 1, 0, 0), mode="circular" if wrap[0] else "constant")
            x = F.pad(x, (0, 0, 1, 1), mode="circular" if wrap[1] else "constant")
            x = F.conv2d(x, kernel, self.bias, groups=channels)
        return x.permute(0, 2, 3, 1)


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.depthwise = Depthwise(channels)
        self.norm = Norm(channels)
        self.up = nn.Linear(channels, 4 * channels)
        self.down = nn.Linear(4 * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), 0.5))

    def forward(self, x, wrap):
        y = self.norm(self.depthwise(x, wrap))
        return x + self.scale * self.down(F.gelu(self.up(y), approximate="tanh"))


def space_to_depth(x, factor):
    n, h, w, c = x.shape
    x = x.reshape(n, h // factor, factor, w // factor, factor, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(n, h // factor, w // factor, factor * factor * c)


def depth_to_space(x, factor):
    n, h, w, c = x.shape
    c //= factor * factor
    x = x.reshape(n, h, w, factor, factor, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(n, h * factor, w * factor, c)


class Stage(nn.Module):
    """`in` (a Linear beside the resampling) and `block0`, `block1`, …"""

    def __init__(self, inputs, outputs, width, depth):
        super().__init__()
        self.add_module("in", nn.Linear(inputs, outputs))
        self.depth = depth
        for index in range(depth):
            self.add_module(f"block{index}", Block(width))

    def enter(self, x):
        return getattr(self, "in")(x)

    def blocks(self, x, wrap):
        for index in range(self.depth):
            x = getattr(self, f"block{index}")(x, wrap)
        return x


class Level(nn.Module):
    """Features to code vectors, and the codebook. A cosine level scales vectors to a mean square of 1."""

    def __init__(self, inputs, config):
        super().__init__()
        self.norm = Norm(inputs)
        self.project = nn.Linear(inputs, config["dim"])
        self.register_buffer("codebook", torch.randn(config["codes"], config["dim"]))
        self.cosine = config["cosine"]

    def vectors(self, features):
        z = self.project(self.norm(features))
        return F.rms_norm(z, (z.shape[-1],), eps=1e-6) if self.cosine else z

    def distances(self, z):
        """Squared distance of every vector from every code."""
        return (z.unsqueeze(-2) - self.codebook).square().sum(-1)

    @torch.no_grad()
    def nearest(self, z):
        flat = z.reshape(-1, z.shape[-1])
        scores = self.codebook.square().sum(1) - 2 * flat @ self.codebook.T
        return scores.argmin(1).reshape(z.shape[:-1])


class Words(nn.Module):
    """What pictures are compared by: how much their cells are of each learned word, over all and in horizontal bands."""

    def __init__(self, inputs, words, bands):
        super().__init__()
        self.words = nn.Linear(inputs, words)
        self.bands = bands

    def forward(self, pixels, features):
        cell = pixels.shape[1] // features.shape[1]
        colours = F.avg_pool2d(pixels.permute(0, 3, 1, 2), cell).permute(0, 2, 3, 1)
        shares = self.words(torch.cat([features, colours], -1)).softmax(-1).mean(2)  # [n, rows, words]
        rows, parts = shares.shape[1], [self.root(shares)]
        for band in range(self.bands):
            top = min(rows * band // self.bands, rows - 1)
            bottom = max(rows * (band + 1) // self.bands, top + 1)
            parts.append(self.root(shares[:, top:bottom]) / self.bands**0.5)
        return torch.cat(parts, 1)

    @staticmethod
    def root(shares):
        return (shares.mean(1) + 1e-6).sqrt()


class Codec(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        stages = config["stages"]  # from fine to coarse
        strides = [stage["stride"] for stage in stages]
        widths = [stage["width"] for stage in stages]
        self.strides = strides
        self.detail_stage = strides.index(config["detail"]["stride"])
        self.encoder = nn.ModuleDict()
        self.decoder = nn.ModuleDict()
        for i, stage in enumerate(stages):
            down = strides[i] // (strides[i - 1] if i else 1)
            below = widths[i - 1] if i else 4
            last = i + 1 == len(stages)
            up = 1 if last else strides[i + 1] // strides[i]
            above = config["structure"]["dim"] if last else widths[i + 1]
            name = f"s{strides[i]}"
            self.encoder[name] = Stage(down * down * below, widths[i], widths[i], stage["encoder_depth"])
            self.decoder[name] = Stage(above, up * up * widths[i], widths[i], stage["decoder_depth"])
        detail_width = widths[self.detail_stage]
        self.decoder["detail"] = nn.Linear(config["detail"]["dim"], detail_width)
        self.decoder["out"] = nn.Linear(widths[0], strides[0] ** 2 * 4)
        self.structure = Level(widths[-1], config["structure"])
        self.detail = Level(2 * detail_width, config["detail"])
        self.detail.empty = nn.Parameter(torch.zeros(config["detail"]["dim"]))
        head = config.get("embedding")  # a number: a projection of the mean features; an object: words
        if isinstance(head, dict):
            self.embedding = Words(detail_width + 4, head["words"], head["bands"])
        elif head:
            self.embedding = nn.Linear(widths[-1], head)

    def features(self, pixels, wrap):
        x, found, below = pixels, [], 1
        for stride in self.strides:
            stage = self.encoder[f"s{stride}"]
            x = stage.blocks(stage.enter(space_to_depth(x, stride // below)), wrap)
            found.append(x)
            below = stride
        return found

    def upsample_into(self, index, x):
        stage = self.decoder[f"s{self.strides[index]}"]
        x = stage.enter(x)
        if index + 1 < len(self.strides):
            x = depth_to_space(x, self.strides[index + 1] // self.strides[index])
        return stage, x

    def trunk(self, structure_vectors, wrap):
        x = structure_vectors
        for index in reversed(range(self.detail_stage, len(self.strides))):
            stage, x = self.upsample_into(index, x)
            if index > self.detail_stage:
                x = stage.blocks(x, wrap)
        return x

    def head(self, trunk, detail_vectors, wrap):
        x = trunk + self.decoder["detail"](detail_vectors)
        x = self.decoder[f"s{self.strides[self.detail_stage]}"].blocks(x, wrap)
        for index in reversed(range(self.detail_stage)):
            stage, x = self.upsample_into(index, x)
            x = stage.blocks(x, wrap)
        return depth_to_space(self.decoder["out"](x), self.strides[0])

    def encode(self, pixels, wrap=(False, False)):
        """Pixels to (structure vectors, structure codes, detail vectors, detail codes)."""
        features = self.features(pixels, wrap)
        structure = self.structure.vectors(features[-1])
        structure_codes = self.structure.nearest(structure)
        trunk = self.trunk(self.structure.codebook[structure_codes], wrap)
        detail = self.detail.vectors(torch.cat([features[self.detail_stage], trunk], -1))
        return structure, structure_codes, detail, self.detail.nearest(detail)

    def embed(self, pixels, wrap=(False, False)):
        """One vector of length 1 per picture, for a codec with such a head."""
        features = self.features(pixels, wrap)
        if isinstance(self.embedding, Words):
            found = self.embedding(pixels, features[self.detail_stage])
        else:
            found = self.embedding(features[-1].mean((1, 2)))
        return found / (found.square().sum(1, keepdim=True) + 1e-12).sqrt()

    def decode(self, structure_codes, detail_codes=None, wrap=(False, False)):
        """`detail_codes` may hold EMPTY; None decodes from structure alone."""
        trunk = self.trunk(self.structure.codebook[structure_codes], wrap)
        if detail_codes is None:
            return self.head(trunk, self.detail.empty, wrap)
        table = torch.cat([self.detail.codebook, self.detail.empty[None]])
        rows = torch.where(detail_codes == EMPTY, len(self.detail.codebook), detail_codes)
        return self.head(trunk, table[rows], wrap)

    def forward_train(self, pixels, dropped, wrap=(False, False)):
        """`dropped` [n, h, w] is 1 where the detail cell is left empty. Gives reconstruction, reconstruction from
        structure alone, commitment loss, and the two levels' codes."""
        features = self.features(pixels, wrap)
        z = self.structure.vectors(features[-1])
        structure_codes = self.structure.nearest(z)
        code = self.structure.codebook[structure_codes]
        commit = (z - code).square().mean()
        trunk = self.trunk(z + (code - z).detach(), wrap)
        z = self.detail.vectors(torch.cat([features[self.detail_stage], trunk], -1))
        detail_codes = self.detail.nearest(z)
        code = self.detail.codebook[detail_codes]
        commit = commit + (z - code).square().mean()
        dropped = dropped.unsqueeze(-1)
        detail = (z + (code - z).detach()) * (1 - dropped) + self.detail.empty * dropped
        recon = self.head(trunk, detail, wrap)
        alone = self.head(trunk, self.detail.empty, wrap)
        return recon, alone, commit, (structure_codes, detail_codes)


def load_checkpoint(path):
    """A Tessera checkpoint as a `Codec`."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        description = json.loads(file.metadata()["tessera"])
        codec = Codec(description["config"])
        codec.load_state_dict({name: file.get_tensor(name).float() for name in file.keys()})
    return codec
