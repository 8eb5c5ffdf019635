import { type Matrix, matmul, matrix } from '@attune/linalg'
import { decoded, type ParamValue, type ParamValues } from '@attune/nn'
import { Constant } from '@attune/tensor'
import type { MlaConfig } from './mla-config.ts'
import type { SourceHeads } from './source-heads.ts'

/** A layer of heads as latent attention: everything as linear maps of what the heads had. */
export interface LatentForm {
  /** Latent, then turned components, from keys and values of all heads: (components + rope, 2 · kvHeads · d). */
  readonly down: Matrix
  /** Per key head: what a query of it becomes (nope + rope, d). */
  readonly queries: readonly Matrix[]
  /** Per key head: its keys and values from the latent (nope + d, components). */
  readonly up: readonly Matrix[]
  /** Queries by a latent of their own: rows that read it from all queries (components, heads · d), and back. */
  readonly queryLatent?: Matrix
  readonly norms?: LatentNorms
}

/** How norms on the latents are met: gains, and a further channel of constant value beside the latent, if any. */
export interface LatentNorms {
  readonly latent: ConstantGain
  readonly queries?: ConstantGain
}
export interface ConstantGain {
  readonly channel?: number
  readonly gain: number
}

/** Parameters of `mla`. Nothing is read now: each weight is made when its bytes are asked for. */
export function latentParams(params: ParamValues, source: SourceHeads, to: MlaConfig, form: LatentForm): ParamValues {
  const { dim, heads, headDim: d, map } = source
  const { q, k, v, o } = Object.fromEntries(params) as Record<'q' | 'k' | 'v' | 'o', ParamValue>
  const components = form.up[0].cols
  const channel = form.norms?.latent.channel
  const width = to.nopeDim + to.ropeDim
  const stack = async (part: 'weight' | 'bias', cols: number) => {
    const rows = matrix(2 * source.kvHeads * d, cols)
    let at = 0
    for (const c of [k[part], v[part]]) {
      if (c) rows.data.set(await decoded(c), at)
      at += source.kvHeads * d * cols
    }
    return rows
  }
  const kva: ParamValue = {
    weight: made([to.latent + to.ropeDim, dim], async () => withRow(matmul(form.down, await stack('weight', dim)), components, channel, 0)),
    ...(to.bias && {
      bias: made([to.latent + to.ropeDim], async () =>
        withRow(matmul(form.down, await stack('bias', 1)), components, channel, channel ?? 0),
      ),
    }),
  }
  const kvb: ParamValue = {
    weight: made([heads * (to.nopeDim + to.valueDim), to.latent], async () => {
      const out = matrix(heads * (to.nopeDim + to.valueDim), to.latent)
      map.forEach((g, h) => putBlock(out, form.up[g], h * (to.nopeDim + to.valueDim), 0))
      return out.data
    }),
  }
  const all: [string, ParamValue | undefined][] = [
    ...queryParams(),
    ['kva', kva],
    ['kvNorm', form.norms && { weight: made([to.latent], async () => filled(to.latent, form.norms!.latent.gain)) }],
    ['kvb', kvb],
    ['o', to.outBias && !o.bias ? { ...o, bias: made([dim], async () => new Float64Array(dim)) } : o],
  ]
  return new Map(all.filter((entry): entry is [string, ParamValue] => entry[1] !== undefined))

  function queryParams(): [string, ParamValue | undefined][] {
    const perHead = (rows: Float32Array | Float64Array, cols: number) => {
      const out = matrix(heads * width, cols)
      map.forEach((g, h) =>
        putBlock(out, matmul(form.queries[g], { rows: d, cols, data: rows.subarray(h * d * cols, (h + 1) * d * cols) }), h * width, 0),
      )
      return out.data
    }
    const { queryLatent: read } = form
    if (!read) {
      const bias = q.bias && made([heads * width], async () => perHead(await decoded(q.bias!), 1))
      return [['q', { weight: made([heads * width, dim], async () => perHead(await decoded(q.weight), dim)), ...(bias && { bias }) }]]
    }
    const { channel, gain = 1 } = form.norms?.queries ?? {}
    const latent = to.queryLatent!
    const rows = async (c: Constant | undefined, cols: number) =>
      c ? matmul(read, { rows: heads * d, cols, data: await decoded(c) }) : matrix(read.rows, cols)
    return [
      [
        'qa',
        {
          weight: made([latent, dim], async () => withRow(await rows(q.weight, dim), read.rows, channel, 0)),
          ...(to.bias && { bias: made([latent], async () => withRow(await rows(q.bias, 1), read.rows, channel, channel ?? 0)) }),
        },
      ],
      ['qaNorm', form.norms?.queries && { weight: made([latent], async () => filled(latent, gain)) }],
      [
        'qb',
        {
          weight: made([heads * width, latent], async () => {
            const out = matrix(heads * width, latent)
            const back = matrix(d, read.rows)
            map.forEach((g, h) => {
              for (let i = 0; i < d; i++)
                for (let r = 0; r < read.rows; r++) back.data[i * read.rows + r] = read.data[r * read.cols + h * d + i]
              putBlock(out, matmul(form.queries[g], back), h * width, 0)
            })
            return out.data
          }),
        },
      ],
    ]
  }
}

/** A weight whose numbers are made when its bytes are asked for. */
function made(shape: readonly number[], numbers: () => Promise<ArrayLike<number>>): Constant {
  return new Constant('f32', shape, async () => {
    const data = Float32Array.from(await numbers())
    return new Uint8Array(data.buffer)
  })
}

const filled = (n: number, value: number): Float64Array => new Float64Array(n).fill(value)

/** The rows, with one row of `value` put in at `at` where there is a constant channel. */
function withRow(m: Matrix, at: number, channel: number | undefined, value: number): Float64Array {
  if (channel === undefined) return m.data
  const out = new Float64Array(m.data.length + m.cols)
  out.set(m.data.subarray(0, at * m.cols))
  out.fill(value, at * m.cols, (at + 1) * m.cols)
  out.set(m.data.subarray(at * m.cols), (at + 1) * m.cols)
  return out
}

function putBlock(to: Matrix, block: Matrix, row: number, col: number): void {
  for (let r = 0; r < block.rows; r++) to.data.set(block.data.subarray(r * block.cols, (r + 1) * block.cols), (row + r) * to.cols + col)
}
