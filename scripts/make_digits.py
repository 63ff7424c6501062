#!/usr/bin/env python3
"""Draws the digits of tests/digits: 28 x 28 pictures like those of MNIST, in its files (idx, gzipped).

usage: make_digits.py [--out DIR] [--train N] [--test N]        needs numpy and pillow, and the DejaVu fonts

A digit is light (up to 255) on dark (0). Each comes from one of the DejaVu fonts, or from strokes drawn here like
handwriting. Then it is bent by a smooth random field, turned by up to 15 degrees, slanted, made narrower or wider, larger or
smaller, and moved by up to 3 points; a part of the pictures gets noise, another a blur, or a stroke across a corner. Grey
values are multiples of 17, so that the files stay small. All of it follows from SEED.
"""
import argparse, glob, gzip, os, struct
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIDE, BIG = 28, 112
SEED = 20
FONTS = sorted(f for f in glob.glob("/usr/share/fonts/truetype/dejavu/DejaVuS*.ttf") if "ExtraLight" not in f)

# Strokes of handwriting in a square from 0 to 1: lists of points, joined smoothly; several ways to write a digit.
STROKES = {
    0: [[[(.5, .1), (.2, .3), (.2, .7), (.5, .9), (.8, .7), (.8, .3), (.5, .1)]],
        [[(.6, .12), (.3, .2), (.2, .6), (.4, .9), (.75, .75), (.8, .35), (.55, .1), (.4, .15)]]],
    1: [[[(.5, .1), (.5, .5), (.5, .9)]], [[(.3, .3), (.55, .1), (.55, .5), (.55, .9)]],
        [[(.3, .3), (.5, .1), (.5, .5), (.5, .9)], [(.3, .9), (.7, .9)]]],
    2: [[[(.2, .3), (.4, .1), (.7, .15), (.75, .4), (.5, .65), (.2, .9)], [(.2, .9), (.8, .9)]],
        [[(.25, .25), (.5, .1), (.75, .3), (.55, .6), (.25, .8), (.3, .9), (.45, .8), (.8, .9)]]],
    3: [[[(.2, .2), (.5, .1), (.75, .25), (.5, .47)], [(.5, .47), (.8, .65), (.6, .9), (.2, .82)]],
        [[(.2, .12), (.75, .12)], [(.75, .12), (.45, .45)], [(.45, .45), (.8, .6), (.65, .88), (.2, .85)]]],
    4: [[[(.6, .1), (.2, .65)], [(.2, .65), (.85, .65)], [(.65, .35), (.65, .9)]],
        [[(.25, .1), (.2, .35), (.3, .5), (.7, .5)], [(.75, .1), (.7, .5), (.7, .9)]]],
    5: [[[(.75, .1), (.3, .1)], [(.3, .1), (.25, .45)], [(.25, .45), (.6, .4), (.8, .65), (.55, .9), (.2, .82)]],
        [[(.8, .12), (.35, .15), (.28, .45), (.55, .42), (.75, .6), (.65, .85), (.25, .88)]]],
    6: [[[(.65, .1), (.35, .3), (.2, .65), (.4, .9), (.7, .85), (.75, .6), (.5, .5), (.25, .65)]],
        [[(.4, .1), (.25, .5), (.3, .85), (.6, .9), (.72, .7), (.5, .55), (.28, .7)]]],
    7: [[[(.2, .12), (.8, .12)], [(.8, .12), (.5, .5), (.4, .9)]],
        [[(.2, .12), (.8, .12)], [(.8, .12), (.5, .5), (.4, .9)], [(.35, .5), (.7, .5)]],
        [[(.2, .25), (.22, .12), (.78, .14), (.6, .5), (.5, .9)]]],
    8: [[[(.5, .47), (.25, .3), (.5, .1), (.75, .28), (.5, .47), (.2, .7), (.5, .9), (.8, .7), (.5, .47)]],
        [[(.72, .2), (.45, .1), (.28, .28), (.7, .62), (.65, .88), (.3, .85), (.3, .6), (.72, .2)]]],
    9: [[[(.75, .35), (.5, .5), (.25, .35), (.45, .1), (.75, .25), (.75, .35), (.7, .65), (.6, .9)]],
        [[(.72, .2), (.4, .12), (.28, .35), (.5, .5), (.72, .3), (.72, .2), (.72, .9)]]],
}


def curve(points):
    """A Catmull-Rom spline through the points."""
    p = np.array([points[0]] + points + [points[-1]])
    t = np.linspace(0, 1, 12, endpoint=False)[:, None]
    out = []
    for a, b, c, d in zip(p, p[1:], p[2:], p[3:]):
        out.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t ** 2 + (3 * b - a - 3 * c + d) * t ** 3))
    return np.concatenate(out + [p[-1:]])


def written(digit, rng):
    picture = Image.new("L", (BIG, BIG))
    draw = ImageDraw.Draw(picture)
    ways = STROKES[digit]
    wide = rng.integers(6, 15)
    for stroke in ways[rng.integers(len(ways))]:
        points = [tuple(np.array(p) + rng.normal(0, 0.03, 2)) for p in stroke]
        at = 22 + curve(points) * (BIG - 44)
        draw.line([tuple(q) for q in at], fill=255, width=int(wide), joint="curve")
        for q in at:
            draw.ellipse((*(q - wide / 2), *(q + wide / 2)), fill=255)
    return picture


def printed(digit, rng):
    picture = Image.new("L", (BIG, BIG))
    font = ImageFont.truetype(FONTS[rng.integers(len(FONTS))], int(rng.integers(70, 95)))
    draw = ImageDraw.Draw(picture)
    draw.text((BIG / 2, BIG / 2), str(digit), fill=255, font=font, anchor="mm")
    change = rng.integers(4)
    if change == 0:
        picture = picture.filter(ImageFilter.MinFilter(3))
    if change == 1:
        picture = picture.filter(ImageFilter.MaxFilter(int(rng.choice([3, 5]))))
    return picture


def moved(a, rng):
    """Turned, slanted, scaled, bent and moved: where each point comes from, by bilinear sampling."""
    angle, slant = rng.uniform(-15, 15) * np.pi / 180, rng.uniform(-0.2, 0.2)
    sx, sy = rng.uniform(0.85, 1.15, 2) * rng.uniform(0.9, 1.15)
    c, s = np.cos(angle), np.sin(angle)
    m = np.array([[c, -s], [s, c]]) @ np.array([[sx, slant], [0, sy]])
    y, x = np.mgrid[:BIG, :BIG] - (BIG - 1) / 2
    shift = rng.uniform(-3, 3, 2) * BIG / SIDE
    field = [np.asarray(Image.fromarray(rng.normal(0, 3, (4, 4)).astype("f4")).resize((BIG, BIG), Image.BICUBIC))
             for _ in range(2)]
    fx = m[0, 0] * (x - shift[0]) + m[0, 1] * (y - shift[1]) + field[0] + (BIG - 1) / 2
    fy = m[1, 0] * (x - shift[0]) + m[1, 1] * (y - shift[1]) + field[1] + (BIG - 1) / 2
    a = np.pad(a, 1)
    fx, fy = np.clip(fx + 1, 0, BIG + 0.999), np.clip(fy + 1, 0, BIG + 0.999)
    x0, y0 = fx.astype(int), fy.astype(int)
    wx, wy = fx - x0, fy - y0
    top = a[y0, x0] * (1 - wx) + a[y0, x0 + 1] * wx
    return top * (1 - wy) + (a[y0 + 1, x0] * (1 - wx) + a[y0 + 1, x0 + 1] * wx) * wy


def digit(n, rng):
    big = moved(np.asarray((written if rng.random() < 0.6 else printed)(n, rng)).astype("f4"), rng)
    picture = Image.fromarray(big.round().clip(0, 255).astype("u1"))
    if rng.random() < 0.2:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(1, 3)))
    a = np.asarray(picture).reshape(SIDE, BIG // SIDE, SIDE, BIG // SIDE).mean((1, 3)) * rng.uniform(0.7, 1.1)
    if rng.random() < 0.1:  # a stroke of something else across a corner
        extra = Image.new("L", (SIDE, SIDE))
        corner = rng.integers(0, 2, 2) * (SIDE - 1)
        ends = [tuple(np.abs(corner - rng.uniform(0, 9, 2))) for _ in range(2)]
        ImageDraw.Draw(extra).line(ends, fill=int(rng.integers(80, 255)), width=int(rng.integers(1, 3)))
        a = np.maximum(a, np.asarray(extra))
    if rng.random() < 0.2:
        a = a + rng.normal(0, rng.uniform(5, 20), a.shape)
    return (np.clip(a, 0, 255) / 17).round().astype("u1") * 17


def write(path, a):
    data = struct.pack(">HBB" + "I" * a.ndim, 0, 8, a.ndim, *a.shape) + a.tobytes()
    with open(path, "wb") as f, gzip.GzipFile("", "wb", 9, f, mtime=0) as z:
        z.write(data)


def make(count, rng):
    labels = rng.permutation(np.arange(count) % 10).astype("u1")
    return np.stack([digit(int(n), rng) for n in labels]), labels


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--out", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "digits"))
    args.add_argument("--train", type=int, default=8000)
    args.add_argument("--test", type=int, default=2000)
    args = args.parse_args()
    os.makedirs(args.out, exist_ok=True)
    for i, (name, count) in enumerate((("train", args.train), ("t10k", args.test))):
        x, y = make(count, np.random.default_rng([SEED, i]))
        write(os.path.join(args.out, name + "-images-idx3-ubyte.gz"), x)
        write(os.path.join(args.out, name + "-labels-idx1-ubyte.gz"), y)


main()
