// Symmetric tridiagonal eigenproblem by divide and conquer (Cuppen; Gu and Eisenstat's stable vectors, as LAPACK's dstedc).
// Eigenvectors are rows. A node keeps its rows in place; `order` lists them by ascending eigenvalue.
#define LEAF 32

/** ẑ (Loewner's formula): the z for which the computed roots are exact. Signs come from z. */
static void refineZ(int k, int squared, const f64 *d, const f64 *z, const f64 *mu, const int *origin, f64 *zhat) {
  fill(zhat, k, 1);
  for (int i = 0; i < k; i++)
    for (int j = 0; j < k; j++) {
      f64 delta = gapOf(squared, d, j, origin[i]) - mu[i];
      zhat[j] *= j == i ? delta : delta / gapOf(squared, d, j, i);
    }
  for (int j = 0; j < k; j++) zhat[j] = __builtin_copysign(root(absf(zhat[j])), z[j]);
}

/** Merge of two sorted lists of row numbers by d. */
static void mergeOrder(int n1, int n, const f64 *d, const int *order, int *to) {
  int a = 0, b = n1, t = 0;
  while (a < n1 || b < n) to[t++] = b >= n || (a < n1 && d[order[a]] <= d[order[b]]) ? order[a++] : order[b++];
}

/** order[from, n) becomes the rows from ... n - 1 by ascending d (insertion). */
static void sortRows(int from, int n, const f64 *d, int *order) {
  for (int i = from; i < n; i++) {
    int t = i;
    while (t > from && d[order[t - 1]] > d[i]) order[t] = order[t - 1], t--;
    order[t] = i;
  }
}

typedef struct { f64 *u, *q2, *z, *dk, *zk, *zhat, *mu, *delta; int *sorted, *kept, *gone, *type, *place, *origin, counts[4]; } Divide;

/** Places of the kept rows when grouped left-only (type 1), both (2), right-only (3): each half of the columns needs two groups. */
static void group(int k, Divide *w) {
  w->counts[1] = w->counts[2] = w->counts[3] = 0;
  for (int i = 0; i < k; i++) w->counts[w->type[w->kept[i]]]++;
  int at[4] = {0, 0, w->counts[1], w->counts[1] + w->counts[2]};
  for (int i = 0; i < k; i++) w->place[i] = at[w->type[w->kept[i]]]++;
}

/** Rows [0, rows) of Q become U times the kept old rows (columns [0, c1) and [c1, c1 + c2)), the deflated rows go to k ... . */
static void combine(int k, int dead, int first, int c1, int c2, f64 *q, int ld, const Divide *w) {
  int n = c1 + c2, one = w->counts[1], k12 = one + w->counts[2], k23 = w->counts[2] + w->counts[3];
  f64 *qa = w->q2, *qb = qa + k12 * c1, *qd = qb + k23 * c2;
  for (int i = 0; i < k; i++) {
    int p = w->place[i];
    if (p < k12) copy(qa + p * c1, q + w->kept[i] * ld, c1);
    if (p >= one) copy(qb + (p - one) * c2, q + w->kept[i] * ld + c1, c2);
  }
  for (int i = 0; i < dead; i++) copy(qd + i * n, q + w->gone[i] * ld, n);
  gemm(k - first, c1, k12, 1, w->u, k, 1, qa, c1, 1, 0, q + first * ld, ld, 0);
  gemm(k - first, c2, k23, 1, w->u + one, k, 1, qb, c2, 1, 0, q + first * ld + c1, ld, 0);
  for (int i = 0; i < dead; i++) copy(q + (k + i) * ld, qd + i * n, n);
}

/** Unit vector `delta` becomes row `i` of U, in grouped order. */
static void place(int i, int k, const Divide *w) {
  f64 inv = 1 / norm(w->delta, k), *u = w->u + i * k;
  for (int j = 0; j < k; j++) u[w->place[j]] = w->delta[j] * inv;
}

/** Ascending order of d's first k (already ascending) and its deflated tail (nearly so). */
static void settle(int k, int n, const f64 *d, int *order, int *sorted) {
  for (int i = 0; i < k; i++) order[i] = i;
  sortRows(k, n, d, order);
  mergeOrder(k, n, d, order, sorted);
  for (int i = 0; i < n; i++) order[i] = sorted[i];
}

static void mergeTridiag(int n, int n1, f64 rho, f64 *d, f64 *q, int ld, int *order, int want, Divide w) {
  int k = 0, dead = 0, prev = -1;
  f64 sign = rho < 0 ? -1 : 1, zmax = 0, dmax = 0;
  for (int i = 0; i < n; i++) {
    w.z[i] = (i < n1 ? q[i * ld + n1 - 1] : sign * q[i * ld + n1]) * 0x1.6a09e667f3bcdp-1; // |z| = 1
    w.type[i] = i < n1 ? 1 : 3;
    zmax = maxf(zmax, absf(w.z[i])), dmax = maxf(dmax, absf(d[i]));
  }
  rho = 2 * absf(rho);
  mergeOrder(n1, n, d, order, w.sorted);
  f64 tol = 8 * EPS * maxf(dmax, zmax);
  for (int t = 0; t < n; t++) {
    int j = w.sorted[t];
    if (rho * absf(w.z[j]) <= tol) { w.gone[dead++] = j; continue; }
    if (prev >= 0) {
      f64 s = w.z[prev], c = w.z[j], tau = hypot2(c, s), gap = d[j] - d[prev];
      c /= tau, s = -s / tau;
      if (absf(gap * c * s) <= tol) {
        w.z[j] = tau, w.z[prev] = 0;
        rotate(q + prev * ld, q + j * ld, n, c, s);
        if (w.type[prev] != w.type[j]) w.type[prev] = w.type[j] = 2;
        f64 dp = d[prev], dj = d[j];
        d[prev] = dp * c * c + dj * s * s, d[j] = dp * s * s + dj * c * c;
        w.gone[dead++] = prev, prev = j;
        continue;
      }
      w.kept[k++] = prev;
    }
    prev = j;
  }
  if (prev >= 0) w.kept[k++] = prev;
  for (int i = 0; i < k; i++) w.dk[i] = d[w.kept[i]], w.zk[i] = w.z[w.kept[i]];
  for (int i = 0; i < dead; i++) w.z[i] = d[w.gone[i]];
  group(k, &w);
  for (int i = 0; i < k; i++) w.mu[i] = secularRoot(k, i, 0, w.dk, w.zk, rho, w.delta, w.origin + i);
  refineZ(k, 0, w.dk, w.zk, w.mu, w.origin, w.zhat);
  int first = k > want ? k - want : 0; // only the largest `want` vectors are formed
  for (int i = first; i < k; i++) {
    for (int j = 0; j < k; j++) w.delta[j] = w.zhat[j] / ((w.dk[j] - w.dk[w.origin[i]]) - w.mu[i]);
    place(i - first, k, &w);
  }
  combine(k, dead, first, n1, n - n1, q, ld, &w);
  for (int i = 0; i < k; i++) d[i] = w.dk[w.origin[i]] + w.mu[i];
  for (int i = 0; i < dead; i++) d[k + i] = w.z[i];
  settle(k, n, d, order, w.sorted);
}

static int divideTridiag(int n, f64 *d, f64 *e, f64 *q, int ld, int *order, int want, Divide w) {
  if (n <= LEAF) {
    for (int i = 0; i < n; i++) fill(q + i * ld, n, 0), q[i * ld + i] = 1;
    if (ql(n, d, e, q, ld)) return 1;
    sortRows(0, n, d, order);
    return 0;
  }
  int n1 = n / 2;
  f64 rho = e[n1 - 1], *corner = q + n1 * ld + n1;
  d[n1 - 1] -= absf(rho), d[n1] -= absf(rho);
  if (divideTridiag(n1, d, e, q, ld, order, n, w) || divideTridiag(n - n1, d + n1, e + n1, corner, ld, order + n1, n, w)) return 1;
  for (int i = 0; i < n1; i++) fill(q + i * ld + n1, n - n1, 0);
  for (int i = n1; i < n; i++) fill(q + i * ld, n1, 0), order[i] += n1;
  mergeTridiag(n, n1, rho, d, q, ld, order, want, w);
  return 0;
}

/** Scratch of a divide and conquer that forms at most `want` vectors at its root: m^2 + max(want m, ceil(m/2)^2) + 8 m numbers, 6 m ints. */
static Divide carve(int n, int want, f64 *work, int *iwork) {
  int half = (n + 1) / 2, u = want * n > half * half ? want * n : half * half;
  f64 *v = work + u + n * n;
  return (Divide){work, work + u, v, v + n, v + 2 * n, v + 3 * n, v + 4 * n, v + 5 * n,
                  iwork, iwork + n, iwork + 2 * n, iwork + 3 * n, iwork + 4 * n, iwork + 5 * n, {0}};
}

/**
 * (d, e) -> eigenvalues in d, eigenvectors as rows of Q (n x n), order[i] = row of the i-th smallest. Only the `want` largest
 * vectors are valid. Returns 0, or 1 when the leaves do not converge.
 */
EXPORT(divide) int divide(int n, f64 *d, f64 *e, f64 *q, int *order, int want, f64 *work, int *iwork) {
  f64 big = 0;
  for (int i = 0; i < n; i++) big = maxf(big, maxf(absf(d[i]), i < n - 1 ? absf(e[i]) : 0));
  f64 s = binade(big);
  if (s > 0) for (int i = 0; i < n; i++) d[i] /= s, e[i] /= s;
  int bad = divideTridiag(n, d, e, q, n, order, want, carve(n, want, work, iwork));
  if (s > 0) scale(d, n, s);
  return bad;
}
