import { readFileSync } from 'node:fs'
import { isVariant, type Variant } from '@attune/attention'
import { cpu } from '@attune/backend-cpu'
import { type ParamTree, type ParamValue, walkParams, weightShape } from '@attune/nn'
import { Constant, read, reference, tensor } from '@attune/tensor'
import { layerAlone, nmse } from '@attune/testing'
import { afterAll, describe, expect, it } from 'vitest'
import * as variants from './index.ts'

interface Oracle {
  readonly tokens: number
  readonly dim: number
  readonly x: number[]
  readonly cases: readonly {
    readonly name: string
    readonly config: Readonly<Record<string, unknown>>
    readonly weights: Readonly<Record<string, number[]>>
    readonly out: number[]
  }[]
}
const { tokens, dim, x, cases }: Oracle = JSON.parse(readFileSync(new URL('../test/oracle.json', import.meta.url), 'utf8'))
const byName = new Map(
  Object.values<unknown>(variants)
    .filter(isVariant)
    .map((v): [string, Variant] => [v.name, v]),
)
const native = cpu({ threads: 2 })
afterAll(async () => (await native).close())

describe("the authors' code, or the paper", () => {
  it.each(cases)('$name $config', async c => {
    const variant = byName.get(c.name)!
    const config = { dim, ...c.config }
    const constant = (numbers: number[], shape: readonly number[]) =>
      new Constant('f32', shape, new Uint8Array(Float32Array.from(numbers).buffer))
    const values = new Map<string, ParamValue>()
    for (const [path, spec] of walkParams(variant.params(config) as ParamTree)) {
      const bias = c.weights[`${path}.bias`]
      values.set(path, { weight: constant(c.weights[path], weightShape(spec)), bias: bias && constant(bias, [bias.length]) })
    }
    const out = layerAlone(variant, config, values, tensor(x, [tokens, dim]), { position: { kind: 'none' } })
    for (const device of [reference(), await native]) expect(nmse((await read(out, device)).data, c.out), device.name).toBeLessThan(1e-11)
  })
})
