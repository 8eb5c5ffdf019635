import { type Matrix, matmul, matrix } from '@attune/linalg'
import type { JointLatent } from './joint-latent.ts'
import type { KeyMix } from './key-mix.ts'
import type { LatentForm } from './latent-params.ts'
import type { SourceHeads } from './source-heads.ts'

export interface FormOptions {
  readonly source: SourceHeads
  readonly mix: Pick<KeyMix, 'turned' | 'still' | 'stopped'>
  readonly latent: JointLatent
  /** Dimensions of each head that queries ask for where positions do not turn. */
  readonly nope: readonly (readonly number[])[]
  /** Multiplies rotated queries and keys in the source (YaRN); what is turned no more keeps it. */
  readonly factor: number
  /** Multiplies queries: scores are divided by the root of another width. */
  readonly scale: number
}

/** The parts of a layer as linear maps, from a mix of keys and a latent. */
export function latentForm({ source: { kvHeads, headDim: d }, mix, latent, nope, factor, scale }: FormOptions): Omit<LatentForm, 'norms'> {
  const { turned, still, stopped } = mix
  const n = kvHeads * d
  const components = latent.down.rows
  const down = matrix(components + turned.rows, 2 * n)
  down.data.set(latent.down.data)
  for (let i = 0; i < turned.rows; i++) down.data.set(turned.data.subarray(i * n, (i + 1) * n), (components + i) * 2 * n)
  const keys = latent.keys.data.map((x, i) => (i < stopped * components ? x * factor ** 2 : x))
  const heads = Array.from({ length: kvHeads }, (_, g) => {
    const [own, ask] = [columns(turned, g * d, d), nope[g]]
    const queries = matrix(ask.length + turned.rows, d)
    ask.forEach((dim, i) => (queries.data[i * d + dim] = scale))
    own.data.forEach((x, i) => (queries.data[ask.length * d + i] = x * scale))
    const up = matrix(ask.length + d, components)
    const back = matmul(columns(still, g * d, d), { rows: still.rows, cols: components, data: keys }, { transA: true }) // (d, components)
    ask.forEach((dim, i) => up.data.set(back.data.subarray(dim * components, (dim + 1) * components), i * components))
    up.data.set(latent.values.data.subarray(g * d * components, (g + 1) * d * components), ask.length * components)
    return { queries, up }
  })
  return { down, queries: heads.map(h => h.queries), up: heads.map(h => h.up) }
}

function columns(m: Matrix, from: number, count: number): Matrix {
  const out = matrix(m.rows, count)
  for (let r = 0; r < m.rows; r++) out.data.set(m.data.subarray(r * m.cols + from, r * m.cols + from + count), r * count)
  return out
}
