#!/usr/bin/env python3
"""Prints a C program of 20,000 lines for a compiler to chew: integer, floating-point and vector loops, switches, structures, 128-bit and
80-bit arithmetic. Run, it prints a checksum of every hundredth function and one of all."""
import random

random.seed(20000)
lines = """#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <math.h>
typedef unsigned __int128 u128;
struct point { double x, y; float w[6]; int16_t tag; };
static uint32_t ua[256], ub[256]; static int16_t sa[256], sb[256]; static uint8_t ca[256], cb[256];
static float fa[256], fb[256]; static double da[256], db[256]; static int64_t la[256], lb[256];
static uint64_t bits(double d) { uint64_t v; memcpy(&v, &d, 8); return v; }""".split("\n")


def odd():
    return random.randrange(1 << 31) | 1


def integers(n):
    a, b, c, s = odd(), odd(), odd(), random.randrange(1, 31)
    return [f"static uint64_t f{n}(uint64_t x) {{", "    uint32_t s = (uint32_t)x;",
            f"    for (int i = 0; i < {random.randrange(20, 200)}; i++) {{",
            f"        ua[i] = ua[i] * {a}u + (ub[i] >> {s} | ub[i] << {32 - s});",
            f"        s ^= ua[i] & 1 ? s * {b}u : s / {c % 1000 + 1}u;", "    }", f"    return s + x % {c}u;", "}"]


def shorts(n):
    a, b = random.randrange(-90, 90), random.randrange(1, 15)
    return [f"static uint64_t f{n}(uint64_t x) {{", "    int64_t s = (int64_t)x;",
            "    for (int i = 0; i < 256; i++) {", f"        int v = sa[i] * {a} - (sb[i] >> {b});",
            f"        sa[i] = (int16_t)(v > {a * 99} ? v : sb[i] + {b});",
            "        ca[i] = (uint8_t)(ca[i] > cb[i] ? ca[i] - cb[i] : cb[i] + 3);", "        s += sa[i] * ca[i];", "    }",
            "    return (uint64_t)s;", "}"]


def doubles(n):
    a, b = random.uniform(0.1, 3), random.uniform(-1, 1)
    return [f"static uint64_t f{n}(uint64_t x) {{", f"    double s = (double)(x & 0xffff) * {a!r};",
            "    for (int i = 0; i < 256; i++) {", f"        da[i] = da[i] * {b!r} + db[i] / {a!r};",
            f"        db[i] = sqrt(fabs(db[i])) + (da[i] < {b!r} ? {a!r} : {b!r});", "        s += da[i] - db[i];", "    }",
            "    return bits(s);", "}"]


def floats(n):
    a, b = random.uniform(0.1, 2), random.uniform(-1, 1)
    return [f"static uint64_t f{n}(uint64_t x) {{", f"    float s = {a:.6f}f;", f"    for (int i = 0; i < {random.randrange(32, 256)}; i++) {{",
            f"        fa[i] = fa[i] * {b:.6f}f + fb[255 - i];", "        fb[i] = fmaxf(fa[i], (float)(int)fb[i]) * 0.5f;",
            f"        s = s * {b:.6f}f + fa[i];", "    }", "    return bits(s) ^ x;", "}"]


def wide(n):
    a, b = odd(), odd()
    return [f"static uint64_t f{n}(uint64_t x) {{", f"    u128 p = (u128)x * {a}u * {b}u + x;", f"    long double e = (long double)(x >> 11) / {a}.0L;",
            "    for (int i = 0; i < 64; i++) {", f"        la[i] = la[i] / {b % 5000 + 2} - lb[i] % {a % 777 + 1} + (int64_t)(p >> (i & 63));",
            f"        lb[i] = (lb[i] << {a % 13 + 1}) ^ (la[i] >> {b % 13 + 1});", "        e = e * 1.0625L + (long double)(la[i] & 255);", "    }",
            "    return (uint64_t)p ^ (uint64_t)(p >> 64) ^ bits((double)e) ^ (uint64_t)lb[7];", "}"]


def choices(n):
    out = [f"static uint64_t f{n}(uint64_t x) {{", f"    struct point p = {{(double)x, {random.uniform(1, 9)!r}, {{1, 2, 3, 4, 5, 6}}, {odd() % 30000}}};",
           f"    switch (x % {random.choice([7, 11, 13])}) {{"]
    for k in range(6):
        out.append(f"    case {k}: p.x = p.x {random.choice('+-*/')} {odd() % 97 + 1}.5; p.w[{k}] *= p.y; p.tag ^= {odd() % 20000}; " + ("break;" if k % 3 else "/* fall through */"))
    return out + [f"    default: p.y = floor(p.x / {odd() % 50 + 3}.0);", "    }", "    return bits(p.x + p.y + p.w[x % 6]) + (uint64_t)p.tag;", "}"]


made = 0
while len(lines) < 19400:
    lines += random.choice([integers, shorts, doubles, floats, wide, choices])(made)
    made += 1
lines.append(f"static uint64_t (*const all[{made}])(uint64_t) = {{")
lines += ["    " + " ".join(f"f{k}," for k in range(at, min(at + 5, made))) for at in range(0, made, 5)] + ["};"]
main = """int main(void) {
    for (int i = 0; i < 256; i++) {
        ua[i] = (uint32_t)i * 2654435761u; ub[i] = ~ua[i]; sa[i] = (int16_t)ua[i]; sb[i] = (int16_t)(ub[i] >> 9); ca[i] = (uint8_t)(i * 7); cb[i] = (uint8_t)(i * 13);
        fa[i] = (float)i / 7; fb[i] = 100 - fa[i]; da[i] = i / 3.0; db[i] = 50 - da[i]; la[i] = (int64_t)ua[i] << 20; lb[i] = -la[i] / 3;
    }
    uint64_t h = 1;
    for (int round = 0; round < 3; round++)
        for (unsigned k = 0; k < sizeof all / sizeof *all; k++) {
            h = (h << 7 | h >> 57) ^ all[k](h);
            if (k % 100 == 0) printf("%d %u %016llx\\n", round, k, (unsigned long long)h);
        }
    printf("all %016llx\\n", (unsigned long long)h);
}""".split("\n")
lines += ["// ."] * (20000 - len(lines) - len(main)) + main
print("\n".join(lines))
