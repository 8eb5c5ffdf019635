import { readFileSync } from 'node:fs'
import type { Past } from '@attune/attention'
import { cpu } from '@attune/backend-cpu'
import { type ParamTree, type ParamValue, walkParams, weightShape } from '@attune/nn'
import { groupedHeads } from '@attune/ops'
import { Constant, type Device, readAll, reference, type Tensor, tensor } from '@attune/tensor'
import { layerAlone } from '@attune/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { pickBlocks } from './block-lists.ts'
import { type NsaConfig, nsa } from './nsa.ts'
import { compressedWeights, sharedStrides } from './nsa-select.ts'

type Matrix = readonly (readonly number[])[]
type Summary = { readonly form: string; readonly pe: Matrix } & Readonly<
  Record<'W' | 'W1' | 'W2', Matrix> & Record<'b' | 'b1' | 'b2', number[]>
>
type Sizes = Readonly<
  Record<'T' | 'd_model' | 'H' | 'H_kv' | 'd_k' | 'd_v' | 'l' | 'd' | 'l_sel' | 'n' | 'window' | 'initial' | 'local', number>
>
/** Numbers of internal/oracles/blind/nsa.py, which says what each is. It multiplies from the right: its matrices are (in, out). */
interface Case {
  readonly config: Sizes & { readonly name: string }
  readonly x: Matrix
  readonly weights: Readonly<Record<string, Matrix>> & { readonly phi_K: Summary; readonly phi_V: Summary; readonly b_g: number[] }
  readonly stages: Readonly<Record<'k_cmp' | 'v_cmp' | 'p_slc' | 'o_cmp' | 'o_slc' | 'o_win' | 'o_star', readonly Matrix[]>> & {
    readonly selected: readonly Matrix[]
    readonly y: Matrix
  }
}
const all: Case[] = JSON.parse(readFileSync(new URL('../../../internal/oracles/blind/nsa.json', import.meta.url), 'utf8')).cases
/** silu makes relu and linear summaries exactly enough, but not gelu: of that case, what no summary reaches. */
const summarised = all.filter(c => c.weights.phi_K.form !== 'gelu')

const native = cpu({ threads: 2 })
const devices = async (): Promise<Device[]> => [reference(), await native]
afterAll(async () => (await native).close())

describe('native sparse attention as written by someone who knew only the paper', () => {
  it.each(summarised)('$config.name: compressed blocks, what blocks are worth, selection', async c => {
    const { T, H_kv, d_k, d_v, l_sel } = c.config
    const { stages } = layer(c, 'out')
    for (const device of await devices()) {
      const { keys, values, worth, blocks, counts } = await readAll(stages, device)
      const kept = (r: typeof keys, width: number) =>
        nested(r).map(head => head.slice(0, c.stages.k_cmp[0].length).map(v => v.slice(0, width)))
      close(kept(keys, d_k), c.stages.k_cmp, device)
      close(kept(values, d_v), c.stages.v_cmp, device)
      const known = nested(worth).map(groups => groups.map(g => g.slice(0, Math.ceil(T / l_sel))))
      close(known, c.stages.p_slc, device)
      const lists = nested(blocks).map((groups, t) => groups.map((list, g) => sorted(list.slice(0, counts.data[t * H_kv + g]))))
      expect(lists, device.name).toEqual(c.stages.selected)
    }
  })

  it.each(summarised)('$config.name: branches, their gated sum, the output', async c => {
    const outs = { cmp: layer(c, 'cmp').out, slc: layer(c, 'slc').out, win: layer(c, 'win').out, star: layer(c, 'star').out }
    for (const device of await devices()) {
      for (const [name, read] of Object.entries(await readAll(outs, device)))
        close(perHead(c, nested(read)), c.stages[`o_${name as keyof typeof outs}`], device)
      const { out } = await readAll({ out: layer(c, 'out').out }, device)
      const y = nested(out) as unknown as number[][]
      close(y.map(row => row.slice(0, c.config.d_model)), c.stages.y, device) // biome-ignore format: one line
    }
  })

  it.each(all.filter(c => !summarised.includes(c)))('$config.name: the window branch', async c => {
    const { out } = layer(c, 'win')
    for (const device of await devices()) close(perHead(c, nested((await readAll({ out }, device)).out)), c.stages.o_win, device)
  })
})

type Shown = 'cmp' | 'slc' | 'win' | 'star' | 'out'
/** What a summary's rows are multiplied by so that silu is relu to 3e-7. */
const STEEP = 1e6

/**
 * The case as this layer has it: heads as wide as keys, values and one channel more, whose place is 1 in a block's first row and so gives
 * summaries biases. `shown`: one branch, heads side by side; all three through their gates; or the layer as it is.
 */
function layer(c: Case, shown: Shown) {
  const { T, d_model, H, H_kv, d_k, d_v, l, d, l_sel, n, window, initial, local } = c.config
  const w = c.weights
  const headDim = Math.max(d_k, d_v) + 1
  const one = headDim - 1
  const dim = H * headDim
  const config: NsaConfig = {
    ...{ dim, heads: H, kvHeads: H_kv, headDim, compress: { size: l, stride: d, hidden: hiddenOf(c) } },
    ...{ block: l_sel, pick: n, first: initial, near: local - 1, window },
  }
  const heads =
    (m: Matrix, width: number, by = 1) =>
    (row: number, input: number) => {
      const [h, i] = [Math.floor(row / headDim), row % headDim]
      return i < width && input < d_model ? m[input][h * width + i] * by : 0
    }
  const weights: Record<string, (row: number, input: number) => number> = {
    q: heads(w.W_Q, d_k, (headDim / d_k) ** 0.5),
    'compressed.k': heads(w.W_K_cmp, d_k),
    'compressed.v': heads(w.W_V_cmp, d_v),
    'selected.k': heads(w.W_K_slc, d_k),
    'selected.v': heads(w.W_V_slc, d_v),
    'near.k': heads(w.W_K_win, d_k),
    'near.v': heads(w.W_V_win, d_v),
    ...summary('compressed.keySummary', w.phi_K, d_k, one),
    ...summary('compressed.valueSummary', w.phi_V, d_v, one),
    gate: (row, input) => (input < d_model && (shown === 'star' || shown === 'out') ? w.W_g[input][row] : 0),
    o: (row, input) => {
      if (shown !== 'out') return row === input ? 1 : 0
      const [h, i] = [Math.floor(input / headDim), input % headDim]
      return row < d_model && i < d_v ? w.W_O[h * d_v + i][row] : 0
    },
  }
  const open = ['cmp', 'slc', 'win'].indexOf(shown)
  const bias = w.b_g.map((b, i) => (open < 0 ? b : i % 3 === open ? 40 : -40))
  const values = new Map<string, ParamValue>()
  for (const [path, spec] of walkParams(nsa.params(config) as ParamTree)) {
    const [rows, columns] = weightShape(spec)
    const weight = numbers(range(rows, r => range(columns, i => weights[path](r, i))).flat(), [rows, columns])
    values.set(path, path === 'gate' ? { weight, bias: numbers(bias, [bias.length]) } : { weight })
  }
  const x = c.x.flatMap(row => [...row, ...range(dim - d_model, () => 0)])
  const seen: { past?: Past; q?: Tensor } = {}
  const spied: typeof nsa = {
    ...nsa,
    forward: context => {
      seen.q = context.params.q(context.x)
      const { state } = context
      const append: typeof state.append = parts => (seen.past = state.append(parts))
      return nsa.forward({ ...context, state: { ...state, append } })
    },
  }
  const out = layerAlone(spied, { ...config }, values, tensor(x, [T, dim]), { position: { kind: 'none' } })
  const past = seen.past!
  const weighed = compressedWeights(seen.q!, past, 'ck', groupedHeads(H, H_kv), config.compress)
  const worth = sharedStrides(weighed, config.compress, l_sel, Math.ceil(T / l_sel))
  const { blocks, blockCounts: counts } = pickBlocks(worth, past, 'ks', { block: l_sel, pick: n, first: initial, near: local - 1 })
  const [keys, made] = [past.parts.ck.squeeze(0), past.parts.cv.squeeze(0)]
  return { out, stages: { keys, values: made, worth, blocks, counts } }
}

/** Hidden units of the summary: two for each output of a linear map (silu(y) − silu(−y) is y), or the perceptron's and one that is constant. */
const hiddenOf = ({ config, weights }: Case): number =>
  weights.phi_K.W1 ? weights.phi_K.b1.length + 1 : 2 * Math.max(config.d_k, config.d_v)

function summary(name: string, phi: Summary, width: number, one: number): Record<string, (row: number, input: number) => number> {
  const headDim = one + 1
  const place = (row: number, i: number) => (i < width ? phi.pe[row][i] : i === one && row === 0 ? 1 : 0)
  /** A number for each place and channel of a block, and a bias. */
  const through = (at: (input: number) => number, bias: number, input: number) => {
    const [row, i] = [Math.floor(input / headDim), input % headDim]
    return i < width ? at(row * width + i) : i === one && row === 0 ? bias : 0
  }
  if (!phi.W1) {
    const [W, b] = phi.W ? [phi.W, phi.b] : [meanOf(phi.pe.length, width), range(width, () => 0)]
    const sign = (unit: number) => 1 - 2 * (unit % 2)
    const up = (unit: number, input: number) => {
      const out = unit >> 1
      return out < width ? sign(unit) * through(z => W[z][out], b[out], input) : 0
    }
    return {
      [`${name}.place`]: place,
      [`${name}.up`]: up,
      [`${name}.down`]: (out, unit) => (out < width && unit >> 1 === out ? sign(unit) : 0),
    }
  }
  const by = phi.form === 'relu' ? STEEP : 1
  const hidden = phi.b1.length
  const constant = 20
  return {
    [`${name}.place`]: place,
    [`${name}.up`]: (unit, input) =>
      unit < hidden ? by * through(z => phi.W1[z][unit], phi.b1[unit], input) : through(() => 0, constant, input),
    [`${name}.down`]: (out, unit) =>
      out >= width ? 0 : unit < hidden ? phi.W2[unit][out] / by : (phi.b2[out] * (1 + Math.exp(-constant))) / constant,
  }
}
const meanOf = (rows: number, width: number): Matrix => range(rows * width, z => range(width, i => (z % width === i ? 1 / rows : 0)))

const range = <T>(n: number, make: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => make(i))
const numbers = (of: number[], shape: number[]) => new Constant('f32', shape, new Uint8Array(Float32Array.from(of).buffer))
const sorted = (list: readonly number[]) => [...list].sort((a, b) => a - b)

/** Rows of nested arrays, as deep as the tensor. */
function nested({ data, shape }: { readonly data: ArrayLike<number>; readonly shape: readonly number[] }): number[][][] {
  const inner = (axis: number, at: number): any => {
    const step = shape.slice(axis + 1).reduce((a, b) => a * b, 1)
    return range(shape[axis], i => (axis + 1 === shape.length ? data[at + i] : inner(axis + 1, at + i * step)))
  }
  return inner(0, 0)
}
function perHead({ config: { H, d_v, d_k } }: Case, rows: unknown): number[][][] {
  const headDim = Math.max(d_k, d_v) + 1
  return (rows as number[][]).map(row => range(H, h => row.slice(h * headDim, h * headDim + d_v)))
}
function close(found: unknown, wanted: unknown, device: Device): void {
  const [f, w] = [found, wanted].map(x => (x as number[][]).flat(Number.POSITIVE_INFINITY as 1) as unknown as number[])
  expect(f.length, device.name).toBe(w.length)
  const worst = w.reduce((most, x, i) => Math.max(most, Math.abs(x - f[i]) || (Number.isFinite(f[i]) ? 0 : Number.POSITIVE_INFINITY)), 0)
  expect(worst, device.name).toBeLessThan(1e-5)
}
