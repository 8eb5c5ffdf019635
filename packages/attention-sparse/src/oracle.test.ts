import { readFileSync } from 'node:fs'
import { cpu } from '@attune/backend-cpu'
import type { ParamValue } from '@attune/nn'
import { Constant, read, reference, tensor } from '@attune/tensor'
import { layerAlone, nmse } from '@attune/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { moba, nsa, quest } from './index.ts'

interface Oracle {
  readonly sizes: { tokens: number; dim: number; heads: number; kvHeads: number; headDim: number }
  readonly x: number[]
  readonly weights: Readonly<Record<string, number[]>>
  readonly cases: readonly { name: string; block: number; pick: number; out: number[] }[]
}
interface Paper {
  readonly tokens: number
  readonly sizes: { dim: number; heads: number; kvHeads: number; headDim: number }
  readonly x: number[]
  readonly cases: readonly { config: Record<string, unknown>; weights: Readonly<Record<string, number[]>>; out: number[] }[]
}
const load = (name: string) => JSON.parse(readFileSync(new URL(`../test/${name}.json`, import.meta.url), 'utf8'))
const oracle: Oracle = load('oracle')
const paper: Paper = load('nsa-oracle')
const native = cpu({ threads: 2 })
afterAll(async () => (await native).close())

describe("the authors' reference code", () => {
  const { tokens, ...heads } = oracle.sizes
  const values = valuesOf(oracle.weights, { q: heads.dim, k: heads.dim, v: heads.dim, o: heads.heads * heads.headDim })
  it.each(oracle.cases)('$name, blocks of $block, $pick picked', async ({ name, block, pick, out }) => {
    const variant = name === 'moba' ? moba : quest
    const config = { ...heads, block, page: block, pick }
    const made = layerAlone(variant, config, values, tensor(oracle.x, [tokens, heads.dim]), { position: { kind: 'none' } })
    for (const device of [reference(), await native]) expect(nmse((await read(made, device)).data, out), device.name).toBeLessThan(1e-11)
  })
})

describe('native sparse attention by the paper', () => {
  const { tokens, sizes, x, cases } = paper
  it.each(cases)('$config', async ({ config, weights, out }) => {
    const { size, hidden } = config.compress as { size: number; hidden: number }
    const summary = { place: sizes.headDim, up: size * sizes.headDim, down: hidden }
    const inner = Object.entries(summary).flatMap(([n, inputs]) =>
      ['key', 'value'].map(s => [`compressed.${s}Summary.${n}`, inputs] as const),
    )
    const widths = { o: sizes.heads * sizes.headDim, ...Object.fromEntries(inner) }
    const values = valuesOf(weights, new Proxy(widths, { get: (all, name: string) => all[name as 'o'] ?? sizes.dim }))
    const made = layerAlone(nsa, { ...sizes, ...config }, values, tensor(x, [tokens, sizes.dim]), { position: { kind: 'none' } })
    for (const device of [reference(), await native]) expect(nmse((await read(made, device)).data, out), device.name).toBeLessThan(1e-11)
  })
})

/** Weights as a variant takes them, from flat numbers; `inputs`: how many numbers each reads. */
function valuesOf(weights: Readonly<Record<string, number[]>>, inputs: Readonly<Record<string, number>>): Map<string, ParamValue> {
  const constant = (numbers: number[], shape: number[]) => new Constant('f32', shape, new Uint8Array(Float32Array.from(numbers).buffer))
  const matrices = Object.entries(weights).filter(([name]) => !name.endsWith('.bias'))
  return new Map(
    matrices.map(([name, numbers]): [string, ParamValue] => {
      const bias = weights[`${name}.bias`]
      const weight = constant(numbers, [numbers.length / inputs[name], inputs[name]])
      return [name, { weight, bias: bias && constant(bias, [bias.length]) }]
    }),
  )
}
