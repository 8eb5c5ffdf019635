import { mha } from '@attune/attention-heads'
import { cpu } from '@attune/backend-cpu'
import { contiguous, ring } from '@attune/cache'
import { reference } from '@attune/tensor'
import { drive, nmse, testAttention, testCache, tinyModel, tokens } from '@attune/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { el } from './el.ts'

const opened = Promise.all([cpu({ threads: 2 }), cpu({ backend: 'wasm', threads: 2 })])
afterAll(async () => {
  for (const d of await opened) await d.close()
})
const config = { dim: 24, heads: 3, headDim: 8 }
const biased = { dim: 20, heads: 5, headDim: 4, bias: true, outBias: true }
const tiny = { position: { kind: 'none' } } as const

testAttention(el, { configs: [config, biased], tiny, devices: () => opened })
testCache({ cache: contiguous(), variant: el, config, tiny })
testCache({ cache: ring(), variant: el, config, tiny, mask: { kind: 'window', size: 20 } })

describe('EL-attention = multi-head attention', () => {
  it.each([config, biased])('%j', async c => {
    for (const device of [reference(), ...(await opened)])
      for (const pieces of [[30], [7, 1, 22]]) {
        const run = (variant: typeof el | typeof mha) => drive(tinyModel(variant, c, { ...tiny, layers: 2 }), device, tokens(30), pieces)
        expect(nmse((await run(el)).logits, (await run(mha)).logits), device.name).toBeLessThan(1e-11)
      }
  })
  it('refuses positions that turn keys', async () => {
    await expect(drive(tinyModel(el, config), reference(), tokens(3))).rejects.toThrow(/turned by rotary/)
  })
})
