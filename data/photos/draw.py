"""Draws the demo photos: a shoe's outline on a table, no photograph and no trademark. Needs Pillow.

python data/photos/draw.py
"""

import random
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

HERE = Path(__file__).parent


def draw(name, body, sole, seed, flip=False):
    rng = random.Random(seed)
    image = Image.new("RGB", (480, 360))
    pixels = image.load()
    for y in range(360):
        for x in range(480):
            grain = rng.randint(-14, 14) + (y // 6 % 2) * 6
            pixels[x, y] = tuple(max(0, min(255, base + grain - y // 12)) for base in (186, 158, 122))
    pen = ImageDraw.Draw(image)
    pen.ellipse((70, 262, 430, 300), fill=(96, 78, 60))
    pen.polygon([(110, 130), (190, 112), (236, 176), (330, 214), (396, 226), (410, 262), (96, 262)], fill=body)
    pen.rounded_rectangle((86, 252, 416, 282), 12, fill=sole)
    for step in range(5):
        x, y = 214 + step * 22, 160 + step * 12
        pen.line((x, y, x + 24, y - 14), fill=(245, 245, 245), width=5)
    for step in range(40):
        pen.line((100 + step * 8, 250, 104 + step * 8, 250), fill=(230, 230, 230), width=2)
    pen.polygon([(120, 196), (250, 214), (170, 232)], fill=sole)
    image = image.filter(ImageFilter.GaussianBlur(0.6))
    if flip:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    (HERE / name).parent.mkdir(exist_ok=True)
    image.save(HERE / f"{name}.jpg", quality=90)


draw("sku1_red", (178, 34, 40), (240, 236, 228), 1)
draw("sku1_red_again", (178, 34, 40), (240, 236, 228), 1)
draw("sku2_blue", (38, 62, 140), (235, 235, 240), 2, flip=True)
draw("references/sku1_1", (178, 34, 40), (240, 236, 228), 11)
draw("references/sku1_2", (172, 30, 36), (244, 240, 232), 12, flip=True)
draw("references/sku2_1", (38, 62, 140), (235, 235, 240), 13)
