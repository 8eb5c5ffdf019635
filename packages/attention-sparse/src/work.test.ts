import type { Variant } from '@attune/attention'
import { cpu } from '@attune/backend-cpu'
import { underPrefix } from '@attune/nn'
import { read, tensor } from '@attune/tensor'
import { layerAlone, tinyModel, tokens, workOf } from '@attune/testing'
import { afterAll, expect, it } from 'vitest'
import { moba, nsa, quest } from './index.ts'

const N = 256
const heads = { dim: 32, heads: 4, kvHeads: 2, headDim: 8 }
const native = cpu({ threads: 2 })
afterAll(async () => (await native).close())

async function slotsScored(variant: Variant, config: Record<string, unknown>): Promise<number[][]> {
  const values = underPrefix(tinyModel(variant, config).values, 'layers.0.attention')
  const x = tensor(Float32Array.from(tokens(N * heads.dim, 97), i => i / 48 - 1), [N, heads.dim]) // biome-ignore format: one line
  return Promise.all(workOf(layerAlone(variant, config, values, x)).map(async work => [...(await read(work, await native)).data]))
}

it.each([moba, quest])('$name scores a quarter of the slots when it picks a quarter of the blocks', async variant => {
  const [picked] = await slotsScored(variant, { ...heads, block: 16, page: 16, pick: 4 })
  const [all] = await slotsScored(variant, { ...heads, block: 16, page: 16, pick: Number.POSITIVE_INFINITY })
  for (let i = 0; i < N; i++)
    for (let h = 0; h < 4; h++) {
      const own = Math.floor(i / 16) + 1
      expect(picked[4 * i + h]).toBe(16 * Math.min(4, own))
      expect(all[4 * i + h]).toBe(16 * own)
    }
})

it('nsa scores its summaries, the blocks it picks and its window', async () => {
  const config = { ...heads, compress: { size: 16, stride: 8, hidden: 8 }, block: 16, pick: 4, window: 32 }
  const [summaries, picked, near] = await slotsScored(nsa, config)
  for (let i = 0; i < N; i++)
    for (let h = 0; h < 4; h++) {
      expect(picked[4 * i + h]).toBe(16 * Math.min(4, Math.floor(i / 16) + 1))
      // Tiles of keys are classified whole, for blocks of queries.
      expect(summaries[4 * i + h]).toBeLessThanOrEqual(31)
      expect(near[4 * i + h]).toBeLessThanOrEqual(32 + 2 * 64)
    }
})
