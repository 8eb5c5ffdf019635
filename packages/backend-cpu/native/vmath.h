// Elementary functions on vectors, the same operations in the same order for every lane.
#pragma once
#include "simd.h"

namespace ISA {

// 2^n for whole n in [-126, 127]
INL V vexp2i(VI n) { return vbits((n + 127) << 23); }
INL V vexp_poly(V x, V n) { // e^(x - n ln 2), |x - n ln 2| <= ln 2 / 2 (Cephes expf, 2 ulp)
  V r = vfma(n, vset(-0.693359375f), x);
  r = vfma(n, vset(2.12194440e-4f), r);
  V p = vfma(vset(1.9875691500e-4f), r, vset(1.3981999507e-3f));
  p = vfma(p, r, vset(8.3334519073e-3f));
  p = vfma(p, r, vset(4.1665795894e-2f));
  p = vfma(p, r, vset(1.6666665459e-1f));
  p = vfma(p, r, vset(5.0000001201e-1f));
  return vfma(p * r, r, r + vset(1.0f));
}
// e^x over the whole range: 0 and infinity at the ends, subnormal results, NaN kept.
INL V vexp(V x) {
  V c = vmin(vmax(x, vset(-104.0f)), vset(89.0f));
  V n = vround(c * vset(1.44269504088896341f));
  V p = vexp_poly(c, n);
#if defined(__AVX512F__)
  V y = (V)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
  VI i = vtrunci(n), h = i >> 1;
  V y = p * vexp2i(h) * vexp2i(i - h);
#endif
  return vsel(x == x, y, x);
}
// e^x for softmax weights: x <= 0 and not NaN. Exactly 0 below -80, so that a weight times a value is never subnormal (slow).
INL V vexp_weight(V x) {
  V c = vmax(x, vset(-80.0f));
  V n = vround(c * vset(1.44269504088896341f));
  V y = vexp_poly(c, n) * vexp2i(vtrunci(n));
  return vbits(bits(y) & (x >= vset(-80.0f)));
}
// Natural logarithm (Cephes logf, 2 ulp): -infinity at 0, NaN below.
INL V vlog(V x) {
  VI tiny = x < vset(1.17549435e-38f);
  V s = vsel(tiny, x * vset(8388608.0f), x);
  VI b = bits(s);
  V e = vtoi2f(((b >> 23) & 0xff) - 126) - vsel(tiny, vset(23.0f), vzero());
  V m = vbits((b & 0x007fffff) | 0x3f000000); // [0.5, 1)
  VI low = m < vset(0.707106781186547524f);
  e = e - vsel(low, vset(1.0f), vzero());
  m = vsel(low, m + m, m) - vset(1.0f);
  V z = m * m;
  V p = vfma(vset(7.0376836292e-2f), m, vset(-1.1514610310e-1f));
  p = vfma(p, m, vset(1.1676998740e-1f));
  p = vfma(p, m, vset(-1.2420140846e-1f));
  p = vfma(p, m, vset(1.4249322787e-1f));
  p = vfma(p, m, vset(-1.6668057665e-1f));
  p = vfma(p, m, vset(2.0000714765e-1f));
  p = vfma(p, m, vset(-2.4999993993e-1f));
  p = vfma(p, m, vset(3.3333331174e-1f));
  V y = p * m * z;
  y = vfma(e, vset(-2.12194440e-4f), y);
  y = vfma(z, vset(-0.5f), y);
  y = vfma(e, vset(0.693359375f), m + y);
  y = vsel(x == vset(__builtin_inff()), x, y);
  y = vsel(x == vzero(), vset(-__builtin_inff()), y);
  return vsel(x >= vzero(), y, vset(__builtin_nanf("")));
}
INL V vsigmoid(V x) { return vset(1.0f) / (vset(1.0f) + vexp(vneg(x))); }
INL V vtanh(V x) { // Cephes tanhf: relative accuracy kept near 0
  V a = vabs(x), z = x * x;
  V big = vset(1.0f) - vset(2.0f) / (vexp(a + a) + vset(1.0f));
  V p = vfma(vset(-5.70498872745e-3f), z, vset(2.06390887954e-2f));
  p = vfma(p, z, vset(-5.37397155531e-2f));
  p = vfma(p, z, vset(1.33314422036e-1f));
  p = vfma(p, z, vset(-3.33332819422e-1f));
  V small = vfma(p * z, x, x);
  V y = vsel(a < vset(0.625f), small, vbits(bits(big) | (bits(x) & viset((int32_t)0x80000000))));
  return vsel(x == x, y, x);
}

} // namespace ISA
