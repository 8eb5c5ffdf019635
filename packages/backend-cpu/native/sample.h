// sample: draws the next token of each batch row; ops/src/sample.ts says what is computed. One chunk per row.
//
//   params  rows, vocabulary, recent tokens
//   bind    layout (i32), logits, options (rows, 8), recent (rows, n), keys (rows, 2), ids, log-probabilities
//   layout  row strides of logits, options, recent, keys
//   scratch 3 × vocabulary: adjusted logits, candidates' values, candidates' ids
#pragma once
#include "norm.h"
#include "random.h"
#include "topk.h"

namespace ISA {

INL float log_of(float x) { return vlog(vset(x))[0]; }

static float largest(const float *x, int64_t n) {
  V m = vset(-__builtin_inff());
  int64_t i = 0;
  for (; i + W <= n; i += W) m = vmax(vload(x + i), m);
  float top = vhmax(m);
  for (; i < n; i++) top = fmax2(x[i], top);
  return top;
}
static float smallest(const float *x, int64_t n) {
  V m = vset(__builtin_inff());
  int64_t i = 0;
  for (; i + W <= n; i += W) m = vmin(vload(x + i), m);
  float low = vhmin(m);
  for (; i < n; i++) low = fmin2(x[i], low);
  return low;
}
// Σ exp(x − top), 16 vectors at a time in f32, then in double.
static double sum_exp(const float *x, int64_t n, float top) {
  double total = 0;
  V t = vset(top);
  for (int64_t from = 0; from < n; from += 16 * W) {
    int64_t end = min64(from + 16 * W, n), i = from;
    V s = vzero();
    for (; i + W <= end; i += W) s = s + vexp(vload(x + i) - t);
    total += (double)vsum(s);
    for (; i < end; i++) total += (double)vexp(vset(x[i] - top))[0];
  }
  return total;
}

static void sift(float *x, int64_t at, int64_t n) {
  for (int64_t child; (child = 2 * at + 1) < n; at = child) {
    if (child + 1 < n && x[child + 1] > x[child]) child++;
    if (!(x[child] > x[at])) return;
    float t = x[at];
    x[at] = x[child], x[child] = t;
  }
}

// The largest t such that the values ≥ t number `want`, or weigh `want` of `total` by exp(value − top); `low` when all do not.
// Buckets of 1/64 below the top find the neighbourhood, a heap in `space` the value.
static float threshold(const float *x, int64_t n, float top, float low, double want, double total, float *space) {
  const int buckets = 2048;
  double held[buckets];
  for (int i = 0; i < buckets; i++) held[i] = 0;
  auto bucket = [&](float v) { float b = (top - v) * 64.0f; return b < 2047.0f ? (int)b : buckets - 1; };
  float weights[256];
  for (int64_t from = 0; from < n; from += 256) {
    int64_t m = min64(n - from, 256);
    if (total > 0) for (int64_t i = 0; i < m; i += W) vstore(weights + i, vexp(vload_some(x + from + i, min64(m - i, W)) - vset(top)));
    for (int64_t i = 0; i < m; i++) if (x[from + i] >= low) held[bucket(x[from + i])] += total > 0 ? (double)weights[i] / total : 1.0;
  }
  double sum = 0;
  int b = 0;
  while (b < buckets && sum + held[b] < want) sum += held[b++];
  if (b == buckets) return low;
  int64_t count = 0;
  for (int64_t i = 0; i < n; i++) if (x[i] >= low && bucket(x[i]) == b) space[count++] = x[i];
  for (int64_t i = count / 2; i-- > 0;) sift(space, i, count);
  for (;;) {
    float v = space[0];
    sum += total > 0 ? (double)vexp(vset(v - top))[0] / total : 1.0;
    space[0] = space[--count];
    sift(space, 0, count);
    if (sum >= want || count == 0) return v;
  }
}

// Gumbel noise of uniform numbers in cells of 2^-24.
INL V gumbel(V u) {
  const V half = vset(1.0f / 33554432.0f), one = vset(1.0f);
  V w = (one - u) - half;
  V series = w * (w * (w * (w * vset(0.25f) + vset(1.0f / 3)) + vset(0.5f)) + one);
  V log = vlog(vsel(u < vset(0.5f), u + half, one - w));
  return vneg(vlog(vsel((u < vset(0.5f)) | (w >= vset(1.0f / 64)), vneg(log), series)));
}

static int64_t sample_chunks(const Launch &l) { return l.n(0); }
static void sample_run(const Launch &l, int64_t row, uint8_t *scratch) {
  const int32_t *strides = l.p<int32_t>(0), *recent = l.p<int32_t>(3) + row * strides[2];
  const int64_t n = l.n(1);
  const float *logits = l.p(1) + row * strides[0], *options = l.p(2) + row * strides[1];
  const uint32_t *key = l.p<uint32_t>(4) + row * strides[3];
  const float temperature = options[0], k = options[1], p = options[2], least = options[3], penalty = options[4];
  float *x = (float *)scratch, *value = x + n;
  int32_t *id = (int32_t *)(value + n);

  __builtin_memcpy(x, logits, (size_t)n * 4);
  for (int64_t i = 0; i < l.n(2); i++) // from the logits, so that a token seen twice is penalised once
    if (recent[i] >= 0 && recent[i] < n) x[recent[i]] = logits[recent[i]] > 0 ? logits[recent[i]] / penalty : logits[recent[i]] * penalty;
  if (temperature > 0) for (int64_t i = 0; i < n; i++) x[i] = x[i] / temperature;
  float top = largest(x, n);

  int64_t drawn = 0;
  if (!(temperature > 0)) {
    while (drawn < n && !(x[drawn] == top)) drawn++;
  } else {
    float low = fmax2(smallest(x, n), top - 200.0f);
    float cut = -3.4e38f;
    if (k > 0 && k <= 512 && k <= (float)n) {
      Best best = {value, id, (int64_t)k + ((float)(int64_t)k < k), 0};
      best.offer(x, 0, n);
      cut = fmax2(best.value[0], low);
    } else if (k > 0) cut = threshold(x, n, top, low, k, 0, value);
    int64_t kept = 0;
    for (int64_t i = 0; i < n; i++) if (x[i] >= cut) value[kept] = x[i], id[kept++] = (int32_t)i;
    float bound = least > 0 ? top + log_of(fmax2(least, 1e-37f)) : cut;
    // x has served: its memory holds the bucket that the threshold sorts
    if (p < 1 && kept > 0) bound = fmax2(bound, threshold(value, kept, top, low, p, sum_exp(value, kept, top), x));
    float best = -3.4e38f, noise[256];
    uint32_t words[4 * W];
    int64_t block = -1;
    for (int64_t from = 0; from < kept; from += 256) {
      int64_t m = min64(kept - from, 256);
      for (int64_t i = 0; i < m; i++) {
        int64_t v = id[from + i], b = v / (4 * W), lane = v % (4 * W);
        if (b != block) philox((uint32_t)(b * W), key[0], key[1], words), block = b;
        noise[i] = unit(words[(lane & 3) * W + (lane >> 2)]);
      }
      for (int64_t i = 0; i < m; i += W) vstore(noise + i, gumbel(vload(noise + i)));
      for (int64_t i = 0; i < m; i++) {
        float score = value[from + i] + noise[i];
        if (value[from + i] >= bound && score > best) best = score, drawn = id[from + i];
      }
    }
  }
  if (drawn >= n) drawn = 0;
  l.p<int32_t>(5)[row] = (int32_t)drawn;
  float m = largest(logits, n);
  l.p(6)[row] = logits[drawn] - m - log_of((float)sum_exp(logits, n, m));
}
static const Kernel sampleKernels[] = {{"sample", sample_chunks, sample_run}};

} // namespace ISA
