import { readFileSync } from 'node:fs'
import { cpu } from '@attune/backend-cpu'
import { type CacheManager, contiguous, paged, quantised, ring, turned } from '@attune/cache'
import { lastLogits, Runner } from '@attune/models'
import type { ParamValue } from '@attune/nn'
import type { PositionSpec } from '@attune/position'
import { AttuneError, Constant, floatToBf16, q8_0, read, reference, tensor } from '@attune/tensor'
import { drive, layerAlone, nmse, testAttention, testCache, tinyModel, tokens } from '@attune/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { type MlaConfig, mla } from './mla.ts'

const opened = Promise.all([cpu({ threads: 2 }), cpu({ backend: 'wasm', threads: 2 })])
afterAll(async () => {
  for (const d of await opened) await d.close()
})
const config = { dim: 32, heads: 3, nopeDim: 8, ropeDim: 8, valueDim: 12, latent: 16 }
const queryLatent = { ...config, queryLatent: 12, bias: true, outBias: true }
const rotatedOnly = { ...config, heads: 4, nopeDim: 0, latentNorm: false, bias: true, queryBias: true }

testAttention(mla, {
  configs: [config, { ...config, mode: 'materialised' }, { ...config, mode: 'auto' }, queryLatent, rotatedOnly, { ...config, scale: 0.3 }],
  devices: () => opened,
})
testCache({ cache: contiguous(), variant: mla, config })
testCache({ cache: ring(), variant: mla, config: { ...config, mode: 'materialised' }, mask: { kind: 'window', size: 20 } })
testCache({ cache: paged({ page: 8 }), variant: mla, config, device: async () => (await opened)[0] })
testCache({ cache: turned(paged({ page: 8 })), variant: mla, config, device: async () => (await opened)[0] })
testCache({ cache: quantised({ group: 8, recent: 3 }), variant: mla, config, within: 5e-2, device: async () => (await opened)[0] })
testCache({
  cache: quantised({ bits: 8, group: 8, rotate: true }),
  variant: mla,
  config,
  within: 1e-3,
  device: async () => (await opened)[0],
})
testCache({ cache: contiguous(), variant: mla, config: rotatedOnly, device: async () => (await opened)[0] })

testCache({
  cache: quantised({ bits: 8, group: 8, rotate: true }),
  variant: mla,
  config: { ...rotatedOnly, mode: 'auto' },
  within: 1e-3,
  device: async () => (await opened)[0],
})

describe('auto', () => {
  const wide = { ...config, latent: 24, valueDim: 8 }
  // With 128 slots, made keys save 64 · (2 · 24 − 16) + 24 · 16 products a token and take 128 · 24 · 16: from 21 tokens on.
  const run = (mode: MlaConfig['mode'], cache?: CacheManager) => async (tokensOfStep: number) => {
    const runner = new Runner(tinyModel(mla, { ...wide, mode }), reference(), { cache })
    const r = await runner.step([{ sequence: runner.open(), ids: tokens(tokensOfStep) }], lastLogits)
    return { logits: (await r.read('logits')).data, choices: r.launches.map(l => l.op) }
  }
  it('makes keys and values in steps of many tokens, and only there', async () => {
    for (const [count, mode] of [
      [1, 'absorbed'],
      [8, 'absorbed'],
      [30, 'materialised'],
    ] as const)
      expect((await run('auto')(count)).choices).toEqual((await run(mode)(count)).choices)
    expect((await run('absorbed')(30)).choices).not.toEqual((await run('materialised')(30)).choices)
  })
  it('is the same in pages', async () => {
    const cache = paged({ page: 8 })
    for (const [count, mode] of [[8, 'absorbed'], [30, 'materialised']] as const) expect((await run('auto', cache)(count)).choices).toEqual((await run(mode, cache)(count)).choices) // biome-ignore format: one line
  })
  it('makes none of packed rows', async () => {
    const cache = quantised({ group: 8 })
    expect((await run('auto', cache)(30)).choices).toEqual((await run('absorbed', cache)(30)).choices)
    await expect(run('materialised', cache)(30)).rejects.toThrow('layer 0 cannot use the int4, values turned cache: packed rows are not given out whole') // biome-ignore format: one line
  })
})

describe('absorbed = materialised', () => {
  it.each([config, queryLatent, rotatedOnly, { ...config, ropeDim: 0 }])('%j', async c => {
    const position: PositionSpec = { kind: 'rope', dims: 8, theta: 10000, pairing: 'interleaved', maxPositions: 512 }
    for (const device of [reference(), ...(await opened)])
      for (const pieces of [[40], [13, 1, 26], [33, ...new Array(7).fill(1)]]) {
        const run = (mode: MlaConfig['mode']) => drive(tinyModel(mla, { ...c, mode }, { layers: 2, position }), device, tokens(40), pieces)
        const [a, b] = [await run('absorbed'), await run('materialised')]
        expect(nmse(a.out, b.out), device.name).toBeLessThan(1e-11)
        expect(nmse(a.logits, b.logits), device.name).toBeLessThan(1e-10)
      }
  })
})

it.each(['bf16', 'q8_0'])('takes what makes keys and values as %s', async dtype => {
  const c = { ...config, latent: 64 }
  const { values } = tinyModel(mla, c)
  const path = 'layers.0.attention.kvb'
  const { shape } = values.get(path)!.weight
  const numbers = new Float32Array((await values.get(path)!.weight.bytes()).slice().buffer)
  const bytes = new Uint8Array(dtype === 'bf16' ? 2 * numbers.length : (numbers.length / q8_0.block) * q8_0.bytes)
  if (dtype === 'bf16') new Uint16Array(bytes.buffer).set(Uint16Array.from(numbers, floatToBf16))
  else q8_0.encode!(numbers, bytes)
  const stored = new Map(values).set(path, { weight: new Constant(dtype === 'bf16' ? 'bf16' : q8_0, shape, bytes) })
  for (const mode of ['absorbed', 'materialised'] as const) {
    const model = { ...tinyModel(mla, { ...c, mode }), values: stored }
    const [want, ...have] = await Promise.all([reference(), ...(await opened)].map(device => drive(model, device, tokens(20))))
    // Kernels of packed weights round what they multiply.
    for (const { out } of have) expect(nmse(out, want.out), mode).toBeLessThan(dtype === 'bf16' ? 1e-11 : 1e-4)
  }
})

interface Oracle {
  readonly sizes: Record<string, number>
  readonly tokens: number
  readonly cases: readonly {
    readonly name: string
    readonly queryLatent: number | null
    readonly bias: boolean
    readonly rope: Record<string, unknown>
    readonly scale: number
    readonly x: number[]
    readonly out: number[]
    readonly parameters: Readonly<Record<string, number[]>>
  }[]
}
const oracle: Oracle = JSON.parse(readFileSync(new URL('../test/mla-oracle.json', import.meta.url), 'utf8'))
const NAMES = { q: 'q_proj', qa: 'q_a_proj', qaNorm: 'q_a_layernorm', qb: 'q_b_proj', kva: 'kv_a_proj_with_mqa', kvNorm: 'kv_a_layernorm', kvb: 'kv_b_proj', o: 'o_proj' } // biome-ignore format: one line

describe("DeepSeek's layers in transformers", () => {
  const { sizes } = oracle
  const dim = sizes.hidden_size
  const constant = (values: readonly number[], shape: readonly number[]) =>
    new Constant('f32', shape, new Uint8Array(Float32Array.from(values).buffer))
  it.each(oracle.cases)('$name', async c => {
    const values = new Map<string, ParamValue>()
    for (const [own, name] of Object.entries(NAMES)) {
      const [weight, bias] = [c.parameters[`${name}.weight`], c.parameters[`${name}.bias`]]
      const norm = own.endsWith('Norm')
      const inputs = own === 'kvb' ? sizes.kv_lora_rank : own === 'qb' ? c.queryLatent! : own === 'o' ? sizes.num_attention_heads * sizes.v_head_dim : dim // biome-ignore format: one line
      const shape = norm ? [weight?.length] : [weight?.length / inputs, inputs]
      if (weight) values.set(own, { weight: constant(weight, shape), bias: bias && constant(bias, [bias.length]) })
    }
    const mlaConfig = {
      dim,
      heads: sizes.num_attention_heads,
      nopeDim: sizes.qk_nope_head_dim,
      ropeDim: sizes.qk_rope_head_dim,
      valueDim: sizes.v_head_dim,
      latent: sizes.kv_lora_rank,
      ...(c.queryLatent === null ? {} : { queryLatent: c.queryLatent }),
      bias: c.bias,
      outBias: c.bias,
      scale: c.scale,
    }
    const { rope_type: type, rope_theta: theta, ...scaling } = c.rope
    const position: PositionSpec = { kind: 'rope', dims: sizes.qk_rope_head_dim, theta: theta as number, pairing: 'interleaved', maxPositions: 64, ...(type === 'default' ? {} : { scaling: { type: type as string, ...scaling } }) } // biome-ignore format: one line
    for (const mode of ['absorbed', 'materialised'] as const) {
      const out = layerAlone(mla, { ...mlaConfig, mode }, values, tensor(c.x, [oracle.tokens, dim]), { position })
      for (const device of [reference(), ...(await opened)])
        expect(nmse((await read(out, device)).data, c.out), `${mode} on ${device.name}`).toBeLessThan(1e-11)
    }
  })
})

it('refuses configs that no layer can have', () => {
  for (const wrong of [{ latent: 0 }, { heads: 1.5 }, { nopeDim: 0, ropeDim: 0 }, { ropeDim: -1 }])
    expect(() => mla.params({ ...config, ...wrong })).toThrow(AttuneError)
})
