import { readFileSync } from 'node:fs'
import { cpu } from '@attune/backend-cpu'
import type { ParamValue } from '@attune/nn'
import { Constant, read, reference, tensor } from '@attune/tensor'
import { layerAlone, nmse } from '@attune/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { moba, quest } from './index.ts'

interface Oracle {
  readonly sizes: { tokens: number; dim: number; heads: number; kvHeads: number; headDim: number }
  readonly x: number[]
  readonly weights: Readonly<Record<string, number[]>>
  readonly cases: readonly { name: string; block: number; pick: number; out: number[] }[]
}
const oracle: Oracle = JSON.parse(readFileSync(new URL('../test/oracle.json', import.meta.url), 'utf8'))
const native = cpu({ threads: 2 })
afterAll(async () => (await native).close())

describe("the authors' reference code", () => {
  const { tokens, ...heads } = oracle.sizes
  const values = new Map<string, ParamValue>()
  for (const [name, numbers] of Object.entries(oracle.weights)) {
    const inputs = name === 'o' ? heads.heads * heads.headDim : heads.dim
    const bytes = new Uint8Array(Float32Array.from(numbers).buffer)
    values.set(name, { weight: new Constant('f32', [numbers.length / inputs, inputs], bytes) })
  }
  it.each(oracle.cases)('$name, blocks of $block, $pick picked', async ({ name, block, pick, out }) => {
    const variant = name === 'moba' ? moba : quest
    const config = { ...heads, block, page: block, pick }
    const made = layerAlone(variant, config, values, tensor(oracle.x, [tokens, heads.dim]), { position: { kind: 'none' } })
    for (const device of [reference(), await native]) expect(nmse((await read(made, device)).data, out), device.name).toBeLessThan(1e-11)
  })
})
