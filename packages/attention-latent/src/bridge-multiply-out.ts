import { bridge } from '@attune/attention'
import { type Matrix, matmul, matrix } from '@attune/linalg'
import { decoded, type ParamValue } from '@attune/nn'
import { AttuneError, Constant } from '@attune/tensor'
import { type MlaConfig, mlaShape } from './mla-config.ts'

interface MhaConfig {
  readonly dim: number
  readonly heads: number
  readonly headDim: number
  readonly bias?: boolean
  readonly outBias?: boolean
}

/**
 * Latent attention as multi-head attention: what makes latents is multiplied with what reads them, and every head gets a copy of the shared
 * rotated key, which comes first. Heads are as wide as the wider of key and value; the rest is zeros. Norms on the latents forbid it.
 */
export const multiplyOut = bridge<MlaConfig, MhaConfig>({
  name: 'multiply-out',
  from: 'mla',
  to: 'mha',
  exactness: 'exact',
  config(from, wish) {
    const { dim, heads, nopeDim, ropeDim, valueDim, bias, queryBias, outBias } = mlaShape(from)
    const made = { dim, heads, headDim: Math.max(nopeDim + ropeDim, valueDim), bias: bias || queryBias, outBias }
    const other = Object.entries(wish).find(
      ([k, v]) => v !== undefined && v !== made[k as keyof MhaConfig] && v !== from[k as keyof MlaConfig],
    )
    if (other)
      throw new AttuneError('ERR_ARGUMENT', `a conversion of 'mla' to 'mha' cannot set ${other[0]} to ${JSON.stringify(other[1])}`, {
        wish,
      })
    return made
  },
  why: ({ from }) => (mlaShape(from).latentNorm ? 'a norm stands between what makes the latents and what reads them' : undefined),
  async params({ from, to, params }) {
    const s = mlaShape(from)
    const { dim, heads, nopeDim, ropeDim, valueDim, latent } = s
    const { headDim } = to
    if (s.latentNorm)
      throw new AttuneError('ERR_CONVERSION', 'mla to mha by multiply-out: a norm stands between the latents and what reads them', {})
    const get = (name: string) => params.get(name)!
    const full = async (name: string): Promise<Matrix> => withBias(get(name))
    /** Rows (heads · headDim, dim + 1) of one linear map: per head, each given as rows of it. */
    const layOut = (perHead: (h: number) => readonly (readonly [Matrix, number, number])[]): Matrix => {
      const out = matrix(heads * headDim, dim + 1)
      for (let h = 0; h < heads; h++) {
        let row = h * headDim
        for (const [m, from, count] of perHead(h)) {
          out.data.set(m.data.subarray(from * (dim + 1), (from + count) * (dim + 1)), row * (dim + 1))
          row += count
        }
      }
      return out
    }
    const q = async () => {
      const all = s.queryLatent === undefined ? await full('q') : through(await full('qb'), await full('qa'))
      const width = nopeDim + ropeDim
      const scale = s.scale * Math.sqrt(headDim)
      all.data.forEach((x, i) => (all.data[i] = x * scale))
      return layOut(h => [
        [all, h * width + nopeDim, ropeDim],
        [all, h * width, nopeDim],
      ])
    }
    const latentRows = async () => {
      const down = await full('kva')
      const c = { rows: latent, cols: dim + 1, data: down.data.subarray(0, latent * (dim + 1)) }
      return { down, made: through(await full('kvb'), c) }
    }
    const k = async () => {
      const { down, made } = await latentRows()
      return layOut(h => [
        [down, latent, ropeDim],
        [made, h * (nopeDim + valueDim), nopeDim],
      ])
    }
    const v = async () => {
      const { made } = await latentRows()
      return layOut(h => [[made, h * (nopeDim + valueDim) + nopeDim, valueDim]])
    }
    const o = async () => {
      const own = await decoded(get('o').weight)
      const out = matrix(dim, heads * headDim)
      for (let r = 0; r < dim; r++)
        for (let h = 0; h < heads; h++)
          out.data.set(own.subarray((r * heads + h) * valueDim, (r * heads + h + 1) * valueDim), (r * heads + h) * headDim)
      return out.data
    }
    const linear = (rows: () => Promise<Matrix>): ParamValue => ({
      weight: made([heads * headDim, dim], async () => columns(await rows(), 0, dim)),
      ...(to.bias && { bias: made([heads * headDim], async () => columns(await rows(), dim, 1)) }),
    })
    return new Map([
      ['q', linear(q)],
      ['k', linear(k)],
      ['v', linear(v)],
      ['o', headDim === valueDim ? get('o') : { ...get('o'), weight: made([dim, heads * headDim], o) }],
    ])
  },
})

async function withBias({ weight, bias }: ParamValue): Promise<Matrix> {
  const [w, b] = [await decoded(weight), bias && (await decoded(bias))]
  const [rows, cols] = weight.shape
  const out = matrix(rows, cols + 1)
  for (let r = 0; r < rows; r++) {
    out.data.set(w.subarray(r * cols, (r + 1) * cols), r * (cols + 1))
    if (b) out.data[r * (cols + 1) + cols] = b[r]
  }
  return out
}

/** Two affine maps as one, biases in the last columns. */
function through(after: Matrix, before: Matrix): Matrix {
  const n = after.cols - 1
  const out = matmul({ rows: after.rows, cols: n, data: columns(after, 0, n) }, before)
  for (let r = 0; r < out.rows; r++) out.data[(r + 1) * out.cols - 1] += after.data[(r + 1) * after.cols - 1]
  return out
}

function columns(m: Matrix, from: number, count: number): Float64Array {
  const out = new Float64Array(m.rows * count)
  for (let r = 0; r < m.rows; r++) out.set(m.data.subarray(r * m.cols + from, r * m.cols + from + count), r * count)
  return out
}

const made = (shape: readonly number[], numbers: () => Promise<Float64Array>): Constant =>
  new Constant('f32', shape, async () => new Uint8Array(Float32Array.from(await numbers()).buffer))
