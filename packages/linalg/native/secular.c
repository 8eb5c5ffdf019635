// Roots of 1 + rho sum_j z_j^2 / (D_j - x), D ascending: one in each (D_i, D_{i+1}), the last in (D_n, D_n + rho |z|^2).
// D_j = d_j (eigenvalues) or d_j^2 (singular values); every difference is formed so that it keeps its relative accuracy.
// Interpolation after LAPACK's dlaed4 (Li 1993), guarded by a shrinking bracket.

static inline f64 gapOf(int squared, const f64 *d, int j, int k) {
  f64 g = d[j] - d[k];
  return squared ? g * (d[j] + d[k]) : g;
}

/** Value, one-sided derivatives and error bound of 1/rho + sum z^2 / (D_j - D_k - mu), poles split after `split`. */
typedef struct { f64 w, left, right, bound; } Secular;

static Secular evaluate(int n, const f64 *z, const f64 *delta, f64 mu, f64 rhoInv, int split) {
  f64 psi = 0, phi = 0, dpsi = 0, dphi = 0, error = 0;
  for (int j = 0; j <= split; j++) {
    f64 t = z[j] / (delta[j] - mu);
    psi += z[j] * t, dpsi += t * t, error += absf(psi);
  }
  for (int j = n - 1; j > split; j--) {
    f64 t = z[j] / (delta[j] - mu);
    phi += z[j] * t, dphi += t * t, error += absf(phi);
  }
  return (Secular){rhoInv + psi + phi, dpsi, dphi, 8 * (absf(phi) + absf(psi)) + error + 2 * rhoInv + absf(mu) * (dpsi + dphi)};
}

/** Root i: returns mu, the offset from pole *origin; delta[j] = D_j - D_origin on return. */
static f64 secularRoot(int n, int i, int squared, const f64 *d, const f64 *z, f64 rho, f64 *delta, int *origin) {
  f64 rhoInv = 1 / rho, lo, hi;
  int last = i == n - 1, left = last ? (n > 1 ? n - 2 : 0) : i, right = last ? n - 1 : i + 1, k = i;
  if (last) {
    f64 sum = 0;
    for (int j = 0; j < n; j++) sum += z[j] * z[j];
    lo = 0, hi = rho * sum;
  } else {
    f64 gap = gapOf(squared, d, i + 1, i);
    for (int j = 0; j < n; j++) delta[j] = gapOf(squared, d, j, i);
    f64 w = evaluate(n, z, delta, gap / 2, rhoInv, i).w;
    if (w >= 0) lo = 0, hi = gap / 2;
    else k = i + 1, lo = -gap / 2, hi = 0;
  }
  for (int j = 0; j < n; j++) delta[j] = gapOf(squared, d, j, k);
  *origin = k;
  if (n == 1) return hi;
  f64 mu = (lo + hi) / 2, before = 0;
  for (int step = 0; step < 200; step++) {
    Secular s = evaluate(n, z, delta, mu, rhoInv, last ? n - 2 : i);
    f64 w = s.w;
    if (absf(w) <= EPS * s.bound) break;
    if (w < 0) lo = mu; else hi = mu;
    f64 l = delta[left] - mu, r = delta[right] - mu, slope = s.left + s.right, eta;
    f64 c = w - l * s.left - r * s.right, a = (l + r) * w - l * r * slope, b = l * r * w;
    f64 q = root(absf(a * a - 4 * b * c));
    if (last) eta = a >= 0 ? (a + q) / (2 * absf(c)) : 2 * b / (a - q);
    else eta = a <= 0 ? (a - q) / (2 * c) : 2 * b / (a + q);
    if (!(w * eta < 0)) eta = -w / slope;
    f64 next = mu + eta;
    if (!(next > lo && next < hi) || (step > 2 && absf(w) > 0.5 * before)) next = lo / 2 + hi / 2;
    if (next == mu || next <= lo || next >= hi) break;
    before = absf(w), mu = next;
  }
  return mu;
}
