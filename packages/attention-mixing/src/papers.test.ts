import { readFileSync } from 'node:fs'
import { causal, full } from '@attune/attention'
import { cpu } from '@attune/backend-cpu'
import { type Expr, k } from '@attune/expr'
import { type ParamTree, type ParamValue, walkParams, weightShape } from '@attune/nn'
import { Constant, type Device, readAll, reference, type Tensor, tensor } from '@attune/tensor'
import { layerAlone } from '@attune/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { castle } from './castle.ts'
import { talkingHeads } from './talking-heads.ts'

type Matrix = readonly (readonly number[])[]
type Cube = readonly Matrix[]
/** A weight by what makes it and what it multiplies. */
type Weights = Readonly<Record<string, (row: number, input: number) => number>>
const load = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../../internal/oracles/blind/${name}.json`, import.meta.url), 'utf8')).cases

const native = cpu({ threads: 2 })
const devices = async (): Promise<Device[]> => [reference(), await native]
afterAll(async () => (await native).close())

/** Numbers of internal/oracles/blind/castle.py: weights multiply from the right, columns head by head. */
interface Castle {
  readonly config: {
    readonly name: string
    readonly L: number
    readonly d_model: number
    readonly n: number
    readonly d: number
    readonly W: number | null
  }
  readonly x: Matrix
  readonly weights: Readonly<Record<'W_UQ' | 'W_UK' | 'W_UV' | 'W_CQ' | 'W_CK' | 'W_CV' | 'W_O', Matrix>>
  readonly stages: { readonly U: Cube; readonly o: Cube; readonly y: Matrix }
}

describe('CASTLE as written by someone who knew only the paper', () => {
  const cases: Castle[] = load('castle')
  // CASTLE-SWL, where lookahead keys see a window, is not offered.
  it.each(cases.filter(c => !c.config.W))('$config.name', async ({ config: c, x, weights: w, stages }) => {
    const dim = Math.max(c.d_model, c.n * c.d)
    const config = { dim, heads: c.n, headDim: c.d }
    const from = (m: Matrix) => (row: number, input: number) => m[input]?.[row] ?? 0
    const own: Weights = {
      ...{ q: from(w.W_CQ), k: from(w.W_CK), v: from(w.W_CV) },
      ...{ 'lookahead.q': from(w.W_UQ), 'lookahead.k': from(w.W_UK), 'lookahead.v': from(w.W_UV) },
    }
    const run = (o: Weights['o']) => {
      let written: Tensor | undefined
      const spied: typeof castle = {
        ...castle,
        forward: context => {
          const { state } = context
          const write: typeof state.write = (name, value) => {
            if (name === 'u') written = value
            state.write(name, value)
          }
          return castle.forward({ ...context, state: { ...state, write } })
        },
      }
      const values = valuesOf(castle.params(config) as ParamTree, { ...own, o })
      const out = layerAlone(spied, config, values, padded(x, dim), { position: { kind: 'none' } })
      return { out, lookahead: written! }
    }
    const heads = run((row, input) => (row === input ? 1 : 0)).out
    for (const device of await devices()) {
      const read = await readAll({ heads, ...run(from(w.W_O)) }, device)
      close(
        nested(read.lookahead)[0].map((head: Matrix) => head.slice(0, c.L)),
        stages.U,
        device,
      )
      const perToken = nested(read.heads).map((row: number[]) => row.slice(0, c.n * c.d))
      close(
        perToken,
        range(c.L, t => stages.o.flatMap(head => head[t])),
        device,
      )
      close(
        nested(read.out).map((row: number[]) => row.slice(0, c.d_model)),
        stages.y,
        device,
      )
    }
  })
})

/** Numbers of internal/oracles/blind/talking-heads.py, names and axes of the paper's pseudocode. */
interface Talking {
  readonly config: Readonly<Record<'n' | 'm' | 'd_X' | 'd_k' | 'd_v' | 'h_k' | 'h' | 'h_v', number>> & {
    readonly name: string
    readonly causal: boolean
    readonly self: boolean
  }
  readonly X: Matrix
  readonly M: Matrix
  readonly weights: Readonly<Record<'P_q' | 'P_k' | 'P_v' | 'P_o', Cube>> & { readonly P_l: Matrix | null; readonly P_w: Matrix | null }
  readonly stages: { readonly O: Cube; readonly Y: Matrix }
}

describe('talking heads as written by someone who knew only the paper', () => {
  const cases: Talking[] = load('talking-heads')
  it.each(cases)('$config.name', async ({ config: c, X, M, weights: w, stages }) => {
    const headDim = Math.max(c.d_k, c.d_v)
    const dim = Math.max(c.d_X, c.h_v * headDim)
    const config = { dim, logitHeads: c.h_k, heads: c.h, valueHeads: c.h_v, headDim }
    // A head's numbers of P (d_X, d, h), zeros up to headDim.
    const from =
      (p: Cube, by = 1) =>
      (row: number, input: number) =>
        (p[input]?.[row % headDim]?.[Math.floor(row / headDim)] ?? 0) * by
    const own: Weights = {
      ...{ q: from(w.P_q, headDim ** 0.5), k: from(w.P_k), v: from(w.P_v) }, // the paper has no scale
      before: (to, of) => (w.P_l ? w.P_l[of][to] : Number(of === to)),
      after: (to, of) => (w.P_w ? w.P_w[of][to] : Number(of === to)),
    }
    // Queries that read another sequence follow it, and see nothing of themselves.
    const mask: Expr = c.causal ? causal : c.self ? full : k.row.lt(c.m)
    const x = padded(c.self ? X : [...M, ...X], dim)
    const run = (o: Weights['o']) => {
      const masked: typeof talkingHeads = { ...talkingHeads, forward: context => talkingHeads.forward({ ...context, mask }) }
      const values = valuesOf(talkingHeads.params(config) as ParamTree, { ...own, o })
      return layerAlone(masked, config, values, x, { position: { kind: 'none' } })
    }
    const outs = {
      heads: run((row, input) => (row === input ? 1 : 0)),
      out: run((row, input) => w.P_o[row]?.[input % headDim]?.[Math.floor(input / headDim)] ?? 0),
    }
    for (const device of await devices()) {
      const read = await readAll(outs, device)
      const [heads, out] = [read.heads, read.out].map(r => nested(r).slice(-c.n))
      const perHead = heads.map((row: number[]) => range(c.d_v, i => range(c.h_v, h => row[h * headDim + i])))
      close(perHead, stages.O, device)
      close(
        out.map((row: number[]) => row.slice(0, c.d_X)),
        stages.Y,
        device,
      )
    }
  })
})

const range = <T>(n: number, make: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => make(i))
const numbers = (of: number[], shape: readonly number[]) => new Constant('f32', shape, new Uint8Array(Float32Array.from(of).buffer))
const padded = (x: Matrix, dim: number): Tensor =>
  tensor(
    x.flatMap(row => range(dim, i => row[i] ?? 0)),
    [x.length, dim],
  )

function valuesOf(params: ParamTree, weights: Weights): Map<string, ParamValue> {
  return new Map(
    [...walkParams(params)].map(([path, spec]): [string, ParamValue] => {
      const [rows, columns] = weightShape(spec)
      return [path, { weight: numbers(range(rows, r => range(columns, i => weights[path](r, i))).flat(), [rows, columns]) }]
    }),
  )
}

/** Nested arrays, as deep as the tensor. */
function nested({ data, shape }: { readonly data: ArrayLike<number>; readonly shape: readonly number[] }): any[] {
  const inner = (axis: number, at: number): any[] => {
    const step = shape.slice(axis + 1).reduce((a, b) => a * b, 1)
    return range(shape[axis], i => (axis + 1 === shape.length ? data[at + i] : inner(axis + 1, at + i * step)))
  }
  return inner(0, 0)
}
function close(found: unknown, wanted: unknown, device: Device): void {
  const [f, w] = [found, wanted].map(x => (x as number[][]).flat(Number.POSITIVE_INFINITY as 1) as unknown as number[])
  expect(f.length, device.name).toBe(w.length)
  const worst = w.reduce((most, x, i) => Math.max(most, Math.abs(x - f[i]) || (Number.isFinite(f[i]) ? 0 : Number.POSITIVE_INFINITY)), 0)
  expect(worst, device.name).toBeLessThan(1e-5)
}
