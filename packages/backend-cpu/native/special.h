// Elementary functions that need more than f32 inside: sin, cos, erf, pow. The same operations for every lane.
#pragma once
#include "vmath.h"

namespace ISA {

typedef double VD __attribute__((vector_size(8 * W)));

INL VD vwide(V a) { return __builtin_convertvector(a, VD); }
INL V vnarrow(VD a) { return __builtin_convertvector(a, V); }
// To the nearest whole number, |a| < 2^51.
INL VD vdround(VD a) { const VD magic = 6755399441055744.0 + VD{}; return (a + magic) - magic; }

// Reduced in double by multiples of pi/2: good to 1 ulp of f32 up to |x| = 2^30, far beyond any position. Polynomials: Cephes sinf, cosf.
INL void vsincos(V x, V &s, V &c) {
  VD xd = vwide(x);
  VD nd = vdround(xd * 0.63661977236758134308);
  V r = vnarrow((xd - nd * 1.57079632679489655800) - nd * 6.12323399573676603587e-17);
  V fits = vsel(vabs(x) < vset(1.0e9f), vnarrow(nd), vzero());
  VI q = vtrunci(fits) & 3;
  V z = r * r;
  V sp = vfma(vset(-1.9515295891e-4f), z, vset(8.3321608736e-3f));
  sp = vfma(sp, z, vset(-1.6666654611e-1f));
  sp = vfma(sp * z, r, r);
  V cp = vfma(vset(2.443315711809948e-5f), z, vset(-1.388731625493765e-3f));
  cp = vfma(cp, z, vset(4.166664568298827e-2f));
  cp = vfma(cp * z, z, vfma(vset(-0.5f), z, vset(1.0f)));
  VI odd = (q & 1) == viset(1);
  VI flipS = (q & 2) << 30, flipC = ((q + 1) & 2) << 30;
  s = vbits(bits(vsel(odd, cp, sp)) ^ flipS);
  c = vbits(bits(vsel(odd, sp, cp)) ^ flipC);
}
INL V vsin(V x) { V s, c; vsincos(x, s, c); return s; }
INL V vcos(V x) { V s, c; vsincos(x, s, c); return c; }

// erf by a rational minimax fit on [-4, 4] (Eigen's), 1 beyond; absolute error below 3e-7.
INL V verf(V a) {
  V x = vmin(vmax(a, vset(-4.0f)), vset(4.0f));
  V z = x * x;
  V p = vfma(vset(-2.72614225801306e-10f), z, vset(2.77068142495902e-8f));
  p = vfma(p, z, vset(-2.10102402082508e-6f));
  p = vfma(p, z, vset(-5.69250639462346e-5f));
  p = vfma(p, z, vset(-7.34990630326855e-4f));
  p = vfma(p, z, vset(-2.95459980854025e-3f));
  p = vfma(p, z, vset(-1.60960333262415e-2f));
  V q = vfma(vset(-1.45660718464996e-5f), z, vset(-2.13374055278905e-4f));
  q = vfma(q, z, vset(-1.68282697438203e-3f));
  q = vfma(q, z, vset(-7.37332916720468e-3f));
  q = vfma(q, z, vset(-1.42647390514189e-2f));
  return vsel(a == a, x * p / q, a);
}

// a^b of non-negative finite a by logarithm and exponential in double; special cases as in IEEE pow, a NaN exponent gives NaN.
INL V vpow(V a, V b) {
  V m = vabs(a);
  VI tiny = m < vset(1.17549435e-38f);
  V scaled = vsel(tiny, m * vset(8388608.0f), m);
  VI e = ((bits(scaled) >> 23) & 0xff) - 127 - visel(tiny, viset(23), viset(0));
  V f = vbits((bits(scaled) & 0x007fffff) | 0x3f800000); // [1, 2)
  VI high = f > vset(1.41421356f);
  f = vsel(high, f * vset(0.5f), f);
  e = e + visel(high, viset(1), viset(0));
  VD fd = vwide(f), t = (fd - 1.0) / (fd + 1.0), t2 = t * t;
  VD p = t2 * (1.0 / 13) + 1.0 / 11;
  p = p * t2 + 1.0 / 9;
  p = p * t2 + 1.0 / 7;
  p = p * t2 + 1.0 / 5;
  p = p * t2 + 1.0 / 3;
  VD log2m = (t + t * t2 * p) * 2.8853900817779268147 + vwide(vtoi2f(e));
  VD y = log2m * vwide(b);
  V bound = vmin(vmax(vnarrow(y), vset(-200.0f)), vset(200.0f));
  VI big = vabs(vnarrow(y)) > vset(160.0f);
  y = vwide(vsel(big, bound, vzero())) + (vwide(vsel(big, vzero(), vset(1.0f))) * y);
  VD n = vdround(y), r = (y - n) * 0.69314718055994530942;
  VD q = r * (1.0 / 5040) + 1.0 / 720;
  q = q * r + 1.0 / 120;
  q = q * r + 1.0 / 24;
  q = q * r + 1.0 / 6;
  q = q * r + 0.5;
  q = q * r + 1.0;
  q = q * r + 1.0;
  VI k = vtrunci(vnarrow(n)), h = k >> 1;
  V out = vnarrow(q) * vexp2i(h) * vexp2i(k - h);

  const V one = vset(1.0f), inf = vset(__builtin_inff());
  VI whole = vtrunc(b) == b, odd = whole & (vabs(b) < vset(16777216.0f)) & (vtrunc(b * vset(0.5f)) * vset(2.0f) != b);
  out = vsel(m == vzero(), vsel(b > vzero(), vzero(), inf), out);
  out = vsel(m == inf, vsel(b > vzero(), inf, vzero()), out);
  out = vsel(vabs(b) == inf, vsel(m == one, vset(__builtin_nanf("")), vsel((m > one) == (b > vzero()), inf, vzero())), out);
  out = vbits(bits(out) | (visel(odd, bits(a), viset(0)) & viset((int32_t)0x80000000)));
  out = vsel((a < vzero()) & ~whole & (m != inf), vset(__builtin_nanf("")), out);
  out = vsel((a != a) | (b != b), a + b, out);
  return vsel(b == vzero(), one, out);
}

} // namespace ISA
