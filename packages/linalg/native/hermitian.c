// Hermitian A = Q T Q^H with T real tridiagonal; A as two full matrices (re, im). Sizes here are small: unblocked.

/** (re, im) += (s + i t) (xr + i xi). */
static void caxpy(f64 *restrict yr, f64 *restrict yi, const f64 *restrict xr, const f64 *restrict xi, int n, f64 s, f64 t) {
  for (int i = 0; i < n; i++) yr[i] += s * xr[i] - t * xi[i], yi[i] += s * xi[i] + t * xr[i];
}

/**
 * Reflector j, I - beta[j] v v^H, is kept as row j of (vr, vi), from column j + 1. Phases (pr, pi) make T's off-diagonal e >= 0:
 * A = H_0 ... H_{n-3} diag(p) T diag(p)^H (...)^H. `work`: 4 n.
 */
EXPORT(hermitianTridiag) void hermitianTridiag(int n, f64 *re, f64 *im, f64 *vr, f64 *vi, f64 *beta, f64 *pr, f64 *pi, f64 *d, f64 *e, f64 *work) {
  f64 *qr_ = work, *qi = work + n;
  pr[0] = 1, pi[0] = 0;
  for (int j = 0; j < n; j++) {
    d[j] = re[j * n + j];
    int at = j + 1, len = n - at;
    if (len == 0) break;
    f64 *xr = vr + j * n + at, *xi = vi + j * n + at; // column j below the diagonal
    for (int i = 0; i < len; i++) xr[i] = re[(at + i) * n + j], xi[i] = im[(at + i) * n + j];
    f64 head = hypot2(xr[0], xi[0]), rest = len > 1 ? hypot2(norm(xr + 1, len - 1), norm(xi + 1, len - 1)) : 0, size = hypot2(head, rest);
    f64 cr = head > 0 ? xr[0] / head : 1, ci = head > 0 ? xi[0] / head : 0;
    beta[j] = 0;
    if (rest > 0) {
      xr[0] += cr * size, xi[0] += ci * size;
      f64 nv = hypot2(norm(xr, len), norm(xi, len));
      scale(xr, len, 1 / nv), scale(xi, len, 1 / nv);
      beta[j] = 2;
      f64 kr = 0; // q = beta A v - (beta^2 / 2) (v^H A v) v ; A -= v q^H + q v^H
      for (int i = 0; i < len; i++) {
        const f64 *ar = re + (at + i) * n + at, *ai = im + (at + i) * n + at;
        qr_[i] = 2 * (dot(ar, xr, len) - dot(ai, xi, len)), qi[i] = 2 * (dot(ar, xi, len) + dot(ai, xr, len));
        kr += xr[i] * qr_[i] + xi[i] * qi[i];
      }
      for (int i = 0; i < len; i++) qr_[i] -= kr * xr[i], qi[i] -= kr * xi[i];
      f64 *cq = work + 2 * n, *cv = work + 3 * n; // conjugated imaginary parts
      for (int i = 0; i < len; i++) cq[i] = -qi[i], cv[i] = -xi[i];
      for (int i = 0; i < len; i++) {
        f64 *ar = re + (at + i) * n + at, *ai = im + (at + i) * n + at;
        caxpy(ar, ai, qr_, cq, len, -xr[i], -xi[i]);
        caxpy(ar, ai, xr, cv, len, -qr_[i], -qi[i]);
      }
      cr = -cr, ci = -ci;
    }
    e[j] = size; // the off-diagonal entry is size * (cr + i ci)
    pr[at] = pr[j] * cr - pi[j] * ci, pi[at] = pr[j] * ci + pi[j] * cr;
  }
}

/** Rows of (zr, zi) (m x n) hold real vectors in zr; each becomes H_0 ... H_{n-2} diag(p) z. */
EXPORT(hermitianBack) void hermitianBack(int m, int n, f64 *zr, f64 *zi, const f64 *vr, const f64 *vi, const f64 *beta, const f64 *pr, const f64 *pi) {
  for (int r = 0; r < m; r++) {
    f64 *xr = zr + r * n, *xi = zi + r * n;
    for (int i = 0; i < n; i++) xi[i] = xr[i] * pi[i], xr[i] *= pr[i];
    for (int j = n - 2; j >= 0; j--) {
      if (beta[j] == 0) continue;
      int at = j + 1, len = n - at;
      const f64 *ar = vr + j * n + at, *ai = vi + j * n + at;
      f64 s = dot(ar, xr + at, len) + dot(ai, xi + at, len), t = dot(ar, xi + at, len) - dot(ai, xr + at, len);
      caxpy(xr + at, xi + at, ar, ai, len, -beta[j] * s, -beta[j] * t);
    }
  }
}
