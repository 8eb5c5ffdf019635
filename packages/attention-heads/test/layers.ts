import { decoded, type ParamValue, type ParamValues } from '@attune/nn'
import { Constant } from '@attune/tensor'
import type { GqaConfig } from '../src/gqa.ts'
import { headLayout } from '../src/head-layout.ts'
import { rotaryPairs } from '../src/rotary-pairs.ts'

type Random = () => number

/** Normal numbers (Box and Muller). */
export const normal = (n: number, random: Random, scale = 1): Float32Array =>
  Float32Array.from({ length: n }, () => scale * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()))

export function paramOf(weight: ArrayLike<number>, shape: readonly number[], bias?: ArrayLike<number>): ParamValue {
  const constant = (x: ArrayLike<number>, s: readonly number[]) => new Constant('f32', s, new Uint8Array(Float32Array.from(x).buffer))
  return { weight: constant(weight, shape), ...(bias ? { bias: constant(bias, [bias.length]) } : {}) }
}

/** Random layers whose key-value heads are unrelated, or copies of one head that were turned, mixed (any matrix, any complex number), or turned in pairs with noise. */
export function layer(
  { dim, heads, kvHeads, headDim: d }: GqaConfig,
  random: Random,
  options: { bias?: boolean; copies?: 'turned' | 'mixed' | 'noisy'; pairing?: 'half' | 'interleaved' } = {},
): ParamValues {
  const { bias, copies, pairing = 'half' } = options
  const cols = dim + 1 // the last one is the bias
  const rows = (n: number) => normal(n * d * cols, random, 1 / Math.sqrt(dim))
  let [k, v] = [rows(kvHeads), rows(kvHeads)]
  if (copies) {
    const noise = copies === 'noisy' ? 0.5 : 0
    const [ks, vs] = [rows(kvHeads), rows(kvHeads)]
    const order = copies === 'noisy' ? Array.from({ length: kvHeads }, (_, h) => h % (kvHeads / 2)) : new Array(kvHeads).fill(0)
    const one = (all: Float32Array, h: number) => all.subarray(order[h] * d * cols, (order[h] + 1) * d * cols)
    k = blend(ks, kvHeads, h => phased(one(ks, h), cols, rotaryPairs(d, { dims: d, pairing }), random, copies !== 'turned'), k, noise)
    v = blend(
      vs,
      kvHeads,
      h => (copies === 'mixed' ? multiplied(one(vs, h), d, cols, normal(d * d, random)) : reflected(one(vs, h), d, cols, random)),
      v,
      noise,
    )
  }
  const param = (w: Float32Array, n: number): ParamValue => {
    const weight = Array.from({ length: n * d }, (_, r) => [...w.subarray(r * cols, r * cols + dim)]).flat()
    return paramOf(weight, [n * d, dim], bias ? Array.from({ length: n * d }, (_, r) => w[r * cols + dim]) : undefined)
  }
  const q = normal(heads * d * cols, random, 1.5 / Math.sqrt(dim))
  const o = paramOf(normal(dim * heads * d, random, 1 / Math.sqrt(heads * d)), [dim, heads * d])
  return new Map([
    ['q', param(q, heads)],
    ['k', param(k, kvHeads)],
    ['v', param(v, kvHeads)],
    ['o', o],
  ])
}

/** Σ [x 1]ᵀ[x 1] */
export function gramOf(x: Float32Array, tokens: number, dim: number): Float64Array {
  const n = dim + 1
  const out = new Float64Array(n * n)
  const at = (t: number, i: number) => (i < dim ? x[t * dim + i] : 1)
  for (let t = 0; t < tokens; t++) for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) out[i * n + j] += at(t, i) * at(t, j)
  return out
}

/** Causal attention in plain loops, float64. */
export async function attentionOutput(
  config: GqaConfig,
  params: ParamValues,
  x: Float32Array,
  pairing: 'half' | 'interleaved' = 'half',
): Promise<Float64Array> {
  const { dim, heads, headDim: d, map } = headLayout(config)
  const tokens = x.length / dim
  const [q, k, v] = await Promise.all(['q', 'k', 'v'].map(n => project(params.get(n)!, x, dim)))
  const pairs = rotaryPairs(d, { dims: d, pairing })
  for (const y of [q, k]) rotate(y, tokens, d, pairs)
  const mixed = new Float64Array(tokens * heads * d)
  const kvWidth = k.length / tokens
  for (let t = 0; t < tokens; t++)
    for (let h = 0; h < heads; h++) {
      const scores = Array.from({ length: t + 1 }, (_, s) => {
        let sum = 0
        for (let i = 0; i < d; i++) sum += q[t * heads * d + h * d + i] * k[s * kvWidth + map[h] * d + i]
        return Math.exp(sum / Math.sqrt(d))
      })
      const total = scores.reduce((a, b) => a + b, 0)
      for (let s = 0; s <= t; s++)
        for (let i = 0; i < d; i++) mixed[t * heads * d + h * d + i] += (scores[s] / total) * v[s * kvWidth + map[h] * d + i]
    }
  return project(params.get('o')!, mixed, heads * d)
}

export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [num, den] = [0, 0]
  for (let i = 0; i < b.length; i++) {
    num += (a[i] - b[i]) ** 2
    den += b[i] ** 2
  }
  return a.length === b.length ? Math.sqrt(num / den) : Infinity
}

async function project({ weight, bias }: ParamValue, x: Float32Array | Float64Array, cols: number): Promise<Float64Array> {
  const [w, b] = [await decoded(weight), bias && (await decoded(bias))]
  const [rows, tokens] = [weight.shape[0], x.length / cols]
  const out = new Float64Array(tokens * rows)
  for (let t = 0; t < tokens; t++)
    for (let r = 0; r < rows; r++) {
      let sum = b ? b[r] : 0
      for (let i = 0; i < cols; i++) sum += x[t * cols + i] * w[r * cols + i]
      out[t * rows + r] = sum
    }
  return out
}

function rotate(y: Float64Array, tokens: number, d: number, pairs: ReturnType<typeof rotaryPairs>): void {
  const width = y.length / tokens
  for (let t = 0; t < tokens; t++)
    for (let h = 0; h < width / d; h++)
      pairs.forEach(([a, b], f) => {
        const angle = t * 100 ** (-f / pairs.length)
        const at = t * width + h * d
        const [re, im] = [y[at + a], y[at + b]]
        y[at + a] = re * Math.cos(angle) - im * Math.sin(angle)
        y[at + b] = re * Math.sin(angle) + im * Math.cos(angle)
      })
}

function blend(like: Float32Array, heads: number, copy: (h: number) => Float32Array, other: Float32Array, noise: number): Float32Array {
  const size = like.length / heads
  const out = new Float32Array(like.length)
  for (let h = 0; h < heads; h++)
    out.set(
      copy(h).map((x, i) => x + noise * other[h * size + i]),
      h * size,
    )
  return out
}

/** Every pair of rows times one complex number, of length 1 unless `scaled`. */
function phased(w: Float32Array, cols: number, pairs: ReturnType<typeof rotaryPairs>, random: Random, scaled: boolean): Float32Array {
  const out = new Float32Array(w.length)
  for (const [a, b] of pairs) {
    const [angle, size] = [2 * Math.PI * random(), scaled ? 0.5 + random() : 1]
    const [re, im] = [size * Math.cos(angle), size * Math.sin(angle)]
    for (let i = 0; i < cols; i++) {
      out[a * cols + i] = re * w[a * cols + i] - im * w[b * cols + i]
      out[b * cols + i] = im * w[a * cols + i] + re * w[b * cols + i]
    }
  }
  return out
}

function multiplied(w: Float32Array, d: number, cols: number, m: Float32Array): Float32Array {
  const out = new Float32Array(w.length)
  for (let r = 0; r < d; r++) for (let s = 0; s < d; s++) for (let i = 0; i < cols; i++) out[r * cols + i] += m[r * d + s] * w[s * cols + i]
  return out
}

/** Rows reflected at a random hyperplane, twice: an orthogonal change. */
function reflected(w: Float32Array, d: number, cols: number, random: Random): Float32Array {
  const once = (from: Float32Array) => {
    const u = normal(d, random)
    const size = u.reduce((n, x) => n + x * x, 0)
    const m = Float32Array.from({ length: d * d }, (_, i) => (i % (d + 1) === 0 ? 1 : 0) - (2 * u[Math.floor(i / d)] * u[i % d]) / size)
    return multiplied(from, d, cols, m)
  }
  return once(once(w))
}
