#!/usr/bin/env python3
"""Writes tiny.safetensors: a tiny codec's weights and what PyTorch computes with them.

`tests/golden_codec.rs` compares Tessera against it. Run it only when the network's definition changes:

    python3 -m venv VENV && VENV/bin/pip install torch numpy safetensors
    VENV/bin/python tests/golden/make_golden.py

Tensors of the file: the weights by their checkpoint names, and, prefixed `golden.`:
  pixels [2, 48, 32, 4], dropped [2, 12, 8]   input and detail dropout of the training step
  {structure,detail}_vectors                  before quantization
  {structure,detail}_codes                    i64
  {structure,detail}_margin                   squared distance of the second nearest code minus that of the nearest
  decoded, structure_only, wrapped            decodes (wrapped: x and y wrap around), with some detail cells empty
  holes [2, 12, 8]                            1 where `decoded` and `wrapped` have an empty detail cell
  loss, grad.NAME                             L1(recon) + 0.5·L1(structure alone) + 0.25·commit, and its gradients
"""

import argparse
import json
import pathlib

import torch
from safetensors.torch import save_file

from twin import EMPTY, Codec

CONFIG = {
    "stages": [
        {"stride": 4, "width": 8, "encoder_depth": 1, "decoder_depth": 2},
        {"stride": 8, "width": 12, "encoder_depth": 1, "decoder_depth": 1},
        {"stride": 16, "width": 16, "encoder_depth": 2, "decoder_depth": 1},
    ],
    "structure": {"stride": 16, "codes": 32, "dim": 6, "cosine": True},
    "detail": {"stride": 4, "codes": 32, "dim": 5, "cosine": False},
    "embedding": None,
}


def randomise(codec, rng):
    """Every parameter away from its start, so that none can be left out unnoticed."""
    for name, value in [*codec.named_parameters(), *codec.named_buffers()]:
        noise = torch.randn(value.shape, generator=rng)
        if name.endswith("gain"):
            value.copy_(1 + 0.2 * noise)
        elif name.endswith("scale"):
            value.copy_(0.5 + 0.2 * noise)
        elif name.endswith("bias"):
            value.copy_(0.1 * noise)
        elif name.endswith(("codebook", "empty")):
            value.copy_(noise)
        else:
            fan_in = 9 if "depthwise" in name else value.shape[-1]
            value.copy_(noise * fan_in**-0.5)
    book = codec.structure.codebook
    book.div_(book.square().mean(1, keepdim=True).sqrt())


def margin(level, z):
    nearest = level.distances(z).topk(2, largest=False).values
    return nearest[..., 1] - nearest[..., 0]


def main():
    here = pathlib.Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--out", type=pathlib.Path, default=here / "tiny.safetensors")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(args.seed)

    codec = Codec(CONFIG)
    with torch.no_grad():
        randomise(codec, rng)
    pixels = torch.rand(2, 48, 32, 4, generator=rng) * 2 - 1
    dropped = (torch.rand(2, 12, 8, generator=rng) < 0.3).float()
    holes = torch.rand(2, 12, 8, generator=rng) < 0.2
    golden = {"pixels": pixels, "dropped": dropped, "holes": holes.float()}

    with torch.no_grad():
        structure, structure_codes, detail, detail_codes = codec.encode(pixels)
        some_empty = torch.where(holes, EMPTY, detail_codes)
        golden |= {
            "structure_vectors": structure,
            "structure_codes": structure_codes,
            "structure_margin": margin(codec.structure, structure),
            "detail_vectors": detail,
            "detail_codes": detail_codes,
            "detail_margin": margin(codec.detail, detail),
            "decoded": codec.decode(structure_codes, some_empty),
            "structure_only": codec.decode(structure_codes),
            "wrapped": codec.decode(structure_codes, some_empty, wrap=(True, True)),
        }

    recon, alone, commit, _ = codec.forward_train(pixels, dropped)
    loss = (recon - pixels).abs().mean() + 0.5 * (alone - pixels).abs().mean() + 0.25 * commit
    loss.backward()
    golden["loss"] = loss.detach()
    for name, parameter in codec.named_parameters():
        golden[f"grad.{name}"] = parameter.grad

    tensors = dict(codec.state_dict())
    tensors |= {f"golden.{name}": value for name, value in golden.items()}
    tensors = {name: value.contiguous() for name, value in tensors.items()}
    metadata = {"config": json.dumps(CONFIG), "made_by": f"torch {torch.__version__}, seed {args.seed}"}
    save_file(tensors, args.out, metadata)
    ties = {level: golden[f"{level}_margin"].min().item() for level in ("structure", "detail")}
    print(f"{args.out}: {args.out.stat().st_size} bytes, loss {loss.item():.6f}, smallest margins {ties}")


if __name__ == "__main__":
    main()
