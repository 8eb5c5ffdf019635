import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { device, fixture, someIds } from '../test/fixture.ts'
import { convert, dryRun, type Plan, planByQuality } from './index.ts'
import { fileStream } from './node/index.ts'

const options = { device, calibration: someIds(64), heldOut: someIds(32).reverse(), window: 32 }
const all: Plan = { layers: [{ layers: 'all', to: 'mqa', method: 'least-squares' }] }

describe('a plan by quality', () => {
  it('takes as many layers as the limit allows, least error first', async () => {
    const { model } = await fixture('llama-gqa-tied')
    const whole = await convert(model, all, options)
    const order = [...whole.report.layers].sort((a, b) => a.error! - b.error!).map(l => l.layer)
    for (const [limit, count] of [
      [1, 0],
      [1.15, 1],
      [1.25, 2],
      [2, 3],
    ]) {
      // Each converted layer costs a tenth.
      const evaluate = async (m: typeof model) => 10 + m.spec.layers.filter(l => l.attention.variant === 'mqa').length
      const {
        plan,
        model: made,
        points,
        report,
        source,
      } = await planByQuality(model, { ...options, to: 'mqa', method: 'least-squares', whole, evaluate, limit })
      expect(source).toBe(10)
      expect(plan.layers[0].layers).toEqual(order.slice(0, count).sort())
      expect(made.spec.layers.filter(l => l.attention.variant === 'mqa').length).toBe(count)
      expect(report.layers.length).toBe(count)
      expect(points.length).toBeLessThanOrEqual(3)
      expect(points.every(p => p.kept === p.factor <= limit)).toBe(true)
    }
  })
  it('converts by itself, and needs held-out tokens to', async () => {
    const { model } = await fixture('llama-gqa-tied')
    const made = await planByQuality(model, { ...options, to: 'mqa', method: 'mean', evaluate: async () => 1 })
    expect(made.report.layers.length).toBe(3)
    await expect(planByQuality(model, { to: 'mqa', method: 'mean', evaluate: async () => 1 })).rejects.toThrow(/held-out/)
  })
})

describe('a dry run', () => {
  it('says what would happen and reads nothing', async () => {
    const { model } = await fixture('llama-gqa-tied')
    const plan: Plan = { layers: [{ layers: '1', to: 'mqa', method: 'aligned' }] }
    const dry = dryRun(model, plan, { calibrationTokens: 2048, heldOutTokens: 512 })
    expect(dry).toMatchObject({ exactness: 'approximate', calibrationTokens: 2048, layers: [{ layer: 1, path: ['aligned'] }] })
    expect(dry.kvBytesPerToken).toEqual({ before: 3 * 2 * 2 * 16 * 4, after: (2 * 2 + 1) * 2 * 16 * 4 })
    expect(dry.workingSetBytes).toBeGreaterThan(8 * 65 ** 2)
    expect(dryRun(model, plan, { calibrationTokens: 2048, spilled: true }).workingSetBytes).toBeLessThan(dry.workingSetBytes)
    expect(dryRun(model, { layers: [{ layers: 'all', to: 'mha' }] })).toMatchObject({
      exactness: 'exact',
      weightBytes: 0,
      workingSetBytes: 0,
    })
    expect(() => dryRun(model, { layers: [{ layers: 'all', to: 'mqa', method: 'repeat' }] })).toThrow(/cannot become mqa/)
  })
})

describe('a spilled stream', () => {
  it('gives the same result as one in memory and leaves no file', async () => {
    const { model } = await fixture('llama-gqa-tied')
    const dir = await mkdtemp(join(tmpdir(), 'attune-spill-'))
    const spill = await fileStream(join(dir, 'stream'))
    const key = async (o: object) =>
      (await convert(model, all, { ...options, ...o })).model.values.get('layers.2.attention.k')!.weight.bytes()
    expect(await key({ spill })).toEqual(await key({}))
    await spill.close()
    expect(await readdir(dir)).toEqual([])
    await rm(dir, { recursive: true })
  })
})
