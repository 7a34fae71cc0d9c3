#!/usr/bin/env python3
"""Compares what PyTorch makes of a checkpoint with what Tessera made of it; ends with 1 where they differ.

    python3 tests/golden/check_model.py MODEL TESSERA

MODEL is any Tessera checkpoint. TESSERA is a safetensors file that `tests/golden_codec.rs` writes:
  pixels [n, h, w, 4]
  structure_codes, detail_codes   i64, of the pixels
  decoded                         pixels from those codes
  embedding [n, length]           where the model has such a head
"""

import sys

import torch
from safetensors.torch import load_file

from twin import load_checkpoint

TOLERANCE = 5e-4  # of pixels, which lie in -1..1, and of squared distances of vectors with a mean square of 1


def same_codes(name, level, vectors, ours, theirs):
    """Codes may differ only where two are equally near."""
    nearest = level.distances(vectors.flatten(0, -2)).topk(2, largest=False).values
    is_clear = (nearest[:, 1] - nearest[:, 0] > TOLERANCE).reshape(ours.shape)
    wrong = ((ours != theirs) & is_clear).sum().item()
    print(f"{name}: {wrong} of {is_clear.sum().item()} clear codes differ")
    return wrong == 0 and is_clear.float().mean().item() > 0.95


def close(name, ours, theirs, tolerance):
    difference = (ours - theirs).abs().max().item()
    print(f"{name}: largest difference {difference:.2e}")
    return difference <= tolerance


@torch.no_grad()
def main():
    model, tessera = sys.argv[1:]
    codec, expected = load_checkpoint(model), load_file(tessera)
    pixels, structure_codes = expected["pixels"], expected["structure_codes"]
    structure, ours, _, _ = codec.encode(pixels)
    fine = same_codes("structure", codec.structure, structure, ours, structure_codes)
    # From Tessera's structure on, so that one tie there does not change the detail.
    trunk = codec.trunk(codec.structure.codebook[structure_codes], (False, False))
    features = codec.features(pixels, (False, False))[codec.detail_stage]
    detail = codec.detail.vectors(torch.cat([features, trunk], -1))
    ours = codec.detail.nearest(detail)
    fine &= same_codes("detail", codec.detail, detail, ours, expected["detail_codes"])
    decoded = codec.decode(structure_codes, expected["detail_codes"])
    fine &= close("decoded", decoded, expected["decoded"], TOLERANCE)
    if "embedding" in expected:
        fine &= close("embedding", codec.embed(pixels), expected["embedding"], 1e-4)
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
