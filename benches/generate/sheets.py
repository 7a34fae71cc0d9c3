"""Contact sheets of what `tessera-cli generate` makes, to be looked at: textures, fills, extensions, variations, collages, hard cases.

    sheets.py OUT [--cli PROGRAM] [--data DIR] [--only textures,fills,extensions,variations,collages,hard]
"""
import argparse
import pathlib
import subprocess

import names
from PIL import Image, ImageDraw

TEXTURES = names.TUNED + names.HELD_OUT
# Picture, and the hole in shares of its size: left, top, right, bottom.
FILLS = [
    ("photos-test/kodim01.png", (0.55, 0.3, 0.8, 0.65)),
    ("photos-test/kodim03.png", (0.1, 0.4, 0.35, 0.75)),
    ("photos-test/kodim05.png", (0.6, 0.1, 0.85, 0.4)),
    ("photos-test/kodim15.png", (0.05, 0.1, 0.3, 0.5)),
    ("photos-test/kodim21.png", (0.3, 0.2, 0.5, 0.55)),
    ("photos-test/kodim23.png", (0.0, 0.6, 0.35, 1.0)),
    ("photos-test/cc0_beacon-street-sunset.png", (0.4, 0.35, 0.65, 0.7)),
    ("photos-test/cc0_perched-osprey.png", (0.35, 0.25, 0.65, 0.75)),
    ("photos-test/cc0_roman-colosseum.png", (0.2, 0.4, 0.45, 0.7)),
]
TAROTS_FILLED = 3
EXTENDED = (
    "photos-test/kodim01.png photos-test/kodim05.png photos-test/kodim10.png photos-test/kodim19.png photos-test/kodim23.png "
    "photos-test/cc0_perched-osprey.png textures/cc0textures_leaves.jpg samples/valley-coral.jpg samples/lake-sherburne.jpg"
).split()
VARIED = "photos-test/kodim05.png textures/polyhaven_broken_brick_wall.jpg samples/valley-coral.jpg samples/serene.jpg samples/snake.png".split()
HARD = "samples/valley-coral.jpg samples/blue-periwinkle.jpg samples/orange-hallway.jpg samples/colorful-wall.jpg samples/snake.png samples/parrot.png".split()
BACKGROUNDS = ("white", "black", "magenta")


class Sheets:
    def __init__(self, a):
        self.cli, self.data, self.out = a.cli, pathlib.Path(a.data), pathlib.Path(a.out)
        self.work = self.out / "pictures"
        self.work.mkdir(parents=True, exist_ok=True)
        self.tarots = sorted((self.data / "personal-art").rglob("*.jpg")) or sorted((self.data / "personal-art").rglob("*.png"))
        self.emoji = sorted((self.data / "personal-emoji").glob("*.png"))
        kenney = self.data / "base-train/sprites-kenney-cc0"
        self.sprites = sorted(kenney.rglob("*.png"))
        self.line_art = [*sorted(kenney.glob("cartographypack*"))[:2], self.tarots[40]]

    def path(self, name):
        return pathlib.Path("assets") / name if name.startswith("samples/") else self.data / name

    def make(self, name, *arguments):
        out = self.work / name
        command = [self.cli, "--overwrite", "generate", *arguments, "--origins", "-o", out]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
        if done.returncode:
            print(name, done.stderr.strip(), flush=True)
            return None
        print(name, done.stdout.strip().splitlines()[-1], flush=True)
        return Image.open(out).convert("RGBA")

    def sheet(self, name, rows, side=384, back="white"):
        """Rows of (picture, words), each picture scaled to fit a square."""
        columns = max(len(row) for row in rows)
        page = Image.new("RGB", (columns * (side + 8), len(rows) * (side + 22)), "grey")
        draw = ImageDraw.Draw(page)
        for y, row in enumerate(rows):
            for x, (picture, words) in enumerate(row):
                if picture is None:
                    continue
                scale = min(side / picture.width, side / picture.height)
                size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
                small = picture.convert("RGBA").resize(size, Image.LANCZOS if scale < 1 else Image.NEAREST)
                under = Image.new("RGBA", size, back)
                page.paste(Image.alpha_composite(under, small).convert("RGB"), (x * (side + 8), y * (side + 22)))
                draw.text((x * (side + 8) + 2, y * (side + 22) + side + 4), words, "white")
        page.save(self.out / f"{name}.png")

    def pages(self, name, rows, each, **look):
        for i in range(0, len(rows), each):
            self.sheet(f"{name}-{i // each + 1}", rows[i : i + each], **look)

    def textures(self):
        rows = []
        for name in TEXTURES:
            path = self.data / "textures" / f"{name}.jpg"
            tile = self.make(f"tile.{name}.png", "tile", "--from", path, "--seed", 5)
            rows.append([(Image.open(path), name), (tile, "tile"), (tiled(tile), "3 x 3")])
        self.pages("textures", rows, 4, side=512)

    def fills(self):
        rows = []
        tarots = [(path, (0.3, 0.25, 0.7, 0.5)) for path in self.tarots[:: max(1, len(self.tarots) // TAROTS_FILLED)][:TAROTS_FILLED]]
        for path, hole in [(self.path(name), hole) for name, hole in FILLS] + tarots:
            picture = Image.open(path).convert("RGB")
            w, h = picture.size
            box = tuple(round(share * side) // 16 * 16 for share, side in zip(hole, (w, h, w, h)))
            mask = Image.new("L", picture.size)
            mask.paste(255, box)
            mask.save(self.work / "mask.png")
            filled = self.make(f"fill.{path.stem}.png", "fill", path, "--mask", self.work / "mask.png")
            shown = picture.copy()
            ImageDraw.Draw(shown).rectangle(box, outline="magenta", width=4)
            margin = 64
            near = (max(0, box[0] - margin), max(0, box[1] - margin), min(w, box[2] + margin), min(h, box[3] + margin))
            rows.append([(shown, path.stem), (filled, "filled"), (filled and filled.crop(near), "near")])
        self.pages("fills", rows, 4, side=512)

    def extensions(self):
        rows, cells = [], []
        for path in [*map(self.path, EXTENDED), self.tarots[7]]:
            cells.append((self.make(f"extend.{path.stem}.png", "extend", path, "--by", 128), path.stem))
        for i in range(0, len(cells), 2):
            rows.append(cells[i : i + 2])
        self.pages("extensions", rows, 2, side=704)

    def variations(self):
        for path in [*map(self.path, VARIED), self.tarots[3]]:
            cells = [(Image.open(path), path.stem)]
            cells += [(self.make(f"vary.{path.stem}.{seed}.png", "vary", path, "--seed", seed), str(seed)) for seed in range(1, 10)]
            self.sheet(f"variations-{path.stem}", [cells[:5], cells[5:]], side=360)

    def collages(self):
        cells = []
        for what, of in (("emoji", self.emoji), ("tarot", self.tarots)):
            for seed, count in ((1, 8), (2, 40), (3, len(of))):
                of_them = of[:: max(1, len(of) // count)][:count]
                tile = self.make(f"collage.{what}.{count}.png", "tile", "--from", *of_them, "--size", 768, "--seed", seed)
                cells.append((tile, f"{what}, {count} pictures"))
        self.sheet("collages", [cells[:3], cells[3:]], side=640)

    def hard(self):
        rows = []
        for path in [*map(self.path, HARD), *self.line_art]:
            tile = self.make(f"hard.{path.stem}.png", "tile", "--from", path)
            middle = tile and tile.crop((128, 128, 384, 384))
            rows.append([(Image.open(path), path.stem), (tile, "tile"), (middle, "its middle, twice")])
        self.pages("hard", rows, 3, side=512)
        for back in BACKGROUNDS:
            cells = []
            for path in self.sprites[:: max(1, len(self.sprites) // 5)][:5]:
                with Image.open(path) as sprite:
                    if min(sprite.size) < 32:
                        continue
                    cells.append([(sprite.convert("RGBA"), path.stem), (self.make(f"sprite.{path.stem}.png", "vary", path, "--seed", 1), "varied"),
                                  (self.make(f"spritetile.{path.stem}.png", "tile", "--from", path, "--size", 256), "tile")])
            for path in self.emoji[10:250:60]:
                cells.append([(Image.open(path), path.stem), (self.make(f"sprite.{path.stem}.png", "vary", path, "--seed", 1), "varied"),
                              (self.make(f"spritetile.{path.stem}.png", "tile", "--from", path, "--size", 256), "tile")])
            if cells:
                self.sheet(f"alpha-{back}", cells, side=256, back=back)


def tiled(tile):
    if tile is None:
        return None
    page = Image.new("RGBA", (tile.width * 3, tile.height * 3))
    for y in range(3):
        for x in range(3):
            page.paste(tile, (x * tile.width, y * tile.height))
    return page


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--cli", default="target/release/tessera-cli")
    parser.add_argument("--data", default="../shared/data")
    kinds = "textures,fills,extensions,variations,collages,hard"
    parser.add_argument("--only", default=kinds)
    a = parser.parse_args()
    sheets = Sheets(a)
    for kind in a.only.split(","):
        if kind not in kinds.split(","):
            parser.error(f"{kind} is none of {kinds}")
        getattr(sheets, kind)()


if __name__ == "__main__":
    main()
