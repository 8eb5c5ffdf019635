import { type Matrix, matmul } from '@attune/linalg'
import { decoded, type ParamValue, type ParamValues } from '@attune/nn'
import { Constant } from '@attune/tensor'
import type { HeadLayout } from './head-layout.ts'

/** A linear change of a layer's heads. It is exact where `queries` and `outputs` undo what `keys` and `values` do. */
export interface HeadMix {
  /** Source query head at each place; the own one by default. */
  readonly order?: readonly number[]
  /** New keys from old ones (kvHeads' · d, kvHeads · d); values likewise. */
  readonly keys: Matrix
  readonly values: Matrix
  /** Factor (d, d) on each place's query; factor (d, d) through which each place's head reads its values: Wo ← Wo · M. */
  readonly queries?: readonly Matrix[]
  readonly outputs?: readonly Matrix[]
}

/** Parameters after a mix. Nothing is read now: each weight is decoded and mixed when its bytes are asked for. */
export function mixHeads(params: ParamValues, { dim, heads, headDim: d }: HeadLayout, mix: HeadMix): ParamValues {
  const { order = Array.from({ length: heads }, (_, h) => h), queries, outputs } = mix
  const moved = queries !== undefined || order.some((h, i) => h !== i)
  const left = (m: Matrix) => (w: Float32Array, cols: number) => matmul(m, { rows: m.cols, cols, data: w }).data
  const q = (w: Float32Array, cols: number): Float32Array => {
    const out = new Float32Array(w.length)
    order.forEach((h, i) => {
      const rows = w.subarray(h * d * cols, (h + 1) * d * cols)
      out.set(queries ? left(queries[i])(rows, cols) : rows, i * d * cols)
    })
    return out
  }
  const o = (w: Float32Array): Float32Array => {
    const out = new Float32Array(w.length)
    order.forEach((h, i) => {
      const block = columns(w, dim, heads * d, h * d, d)
      putColumns(out, heads * d, i * d, d, outputs ? matmul({ rows: dim, cols: d, data: block }, outputs[i]).data : block)
    })
    return out
  }
  const { k, v, q: oldQ, o: oldO } = named(params)
  return new Map([
    ['q', moved ? rowsMixed(oldQ, heads * d, q) : oldQ],
    ['k', rowsMixed(k, mix.keys.rows, left(mix.keys))],
    ['v', rowsMixed(v, mix.values.rows, left(mix.values))],
    ['o', moved || outputs ? { ...oldO, weight: derived(oldO.weight, [dim, heads * d], o) } : oldO],
  ])
}

/** The four parameters of the family. */
export function named(params: ParamValues): Record<'q' | 'k' | 'v' | 'o', ParamValue> {
  return Object.fromEntries(['q', 'k', 'v', 'o'].map(n => [n, params.get(n)!])) as Record<'q' | 'k' | 'v' | 'o', ParamValue>
}

/** Whole heads picked by row, packed or not: the same bytes, no number changes. */
export function pickHeads({ weight, bias }: ParamValue, heads: readonly number[], d: number): ParamValue {
  const pick = (c: Constant): Constant =>
    new Constant(
      c.dtype,
      [heads.length * d, ...c.shape.slice(1)],
      async () => {
        const bytes = await c.bytes()
        const span = (bytes.length / c.shape[0]) * d
        const out = new Uint8Array(heads.length * span)
        heads.forEach((h, i) => out.set(bytes.subarray(h * span, (h + 1) * span), i * span))
        return out
      },
      c.name,
    )
  return { weight: pick(weight), ...(bias ? { bias: pick(bias) } : {}) }
}

type Mix = (w: Float32Array, cols: number) => Float32Array | Float64Array

function rowsMixed({ weight, bias }: ParamValue, rows: number, mix: Mix): ParamValue {
  const cols = weight.shape[1]
  return {
    weight: derived(weight, [rows, cols], w => mix(w, cols)),
    ...(bias ? { bias: derived(bias, [rows], w => mix(w, 1)) } : {}),
  }
}

const derived = (from: Constant, shape: readonly number[], make: (w: Float32Array) => Float32Array | Float64Array): Constant =>
  new Constant(
    'f32',
    shape,
    async () => {
      const made = Float32Array.from(make(await decoded(from)))
      return new Uint8Array(made.buffer)
    },
    from.name,
  )

export function columns(w: Float32Array, rows: number, width: number, from: number, count: number): Float32Array {
  const out = new Float32Array(rows * count)
  for (let r = 0; r < rows; r++) out.set(w.subarray(r * width + from, r * width + from + count), r * count)
  return out
}
function putColumns(w: Float32Array, width: number, at: number, count: number, block: Float32Array | Float64Array): void {
  for (let r = 0, i = 0; i < block.length; r++, i += count) w.set(block.subarray(i, i + count), r * width + at)
}
