import type { Variant } from '@attune/attention'
import { contiguous, ring } from '@attune/cache'
import { keptBytes } from '@attune/evaluate'
import { noOutput, Runner } from '@attune/models'
import { type Device, reference } from '@attune/tensor'
import { describe, expect, it } from 'vitest'
import { checkBridges } from './check-bridges.ts'
import { checkGradients } from './check-gradients.ts'
import { checkLimits } from './check-limits.ts'
import { drive, nmse, tokens } from './drive.ts'
import { poisoned } from './poison.ts'
import { type TinyOptions, tinyModel } from './tiny-model.ts'

export interface AttentionTestOptions {
  /** Configs to test; `dim` is required in each. */
  readonly configs: readonly Record<string, unknown>[]
  /** Devices to compare with the reference; each is used with NaN-poisoned memory. */
  readonly devices?: () => Promise<readonly Device[]>
  readonly tiny?: TinyOptions
  /** Largest NMSE against the reference device, f32. */
  readonly bound?: number
}

/**
 * The conformance suite of a variant, derived from its definition alone: every road gives the same numbers, nothing sees the future,
 * bytes are what was declared, limits and exact bridges hold, gradients are right.
 */
export function testAttention(variant: Variant, { configs, devices = async () => [], tiny, bound = 1e-9 }: AttentionTestOptions): void {
  describe.each(configs)(`${variant.name} %j`, config => {
    const model = tinyModel(variant, config, tiny)
    const windowed = tinyModel(variant, config, { ...tiny, mask: { kind: 'window', size: 9, sinks: 2 } })
    const plain = poisoned(reference())
    // A window drops rows of the past; states that sum it up or pool it have no such edge.
    const edges = Object.values(variant.state(config)).every(kind => kind.kind === 'rows' && !kind.rewritten && !kind.leaving)

    it('gives finite numbers that depend on its input', async () => {
      const a = await drive(model, plain, tokens(9))
      const b = await drive(model, plain, tokens(9, 50, 4))
      expect(a.out.every(Number.isFinite)).toBe(true)
      expect(nmse(a.out, b.out)).toBeGreaterThan(1e-4)
    })
    it('sees no future token: earlier outputs stay bitwise', async () => {
      const ids = tokens(12)
      const other = [...ids.slice(0, 8), ...ids.slice(8).map(i => (i + 11) % 50)]
      const [a, b] = [await drive(model, plain, ids), await drive(model, plain, other)]
      const dim = a.out.length / 12
      expect(a.out.slice(0, 8 * dim)).toEqual(b.out.slice(0, 8 * dim))
    })
    it.runIf(edges)('sees nothing beyond a window', async () => {
      const ids = tokens(20)
      // Rows 0 and 1 are sinks, 3 … 10 are out of the last token's window of 9.
      const other = ids.map((id, i) => (i >= 3 && i <= 10 ? (id + 7) % 50 : id))
      const [a, b] = [await drive(windowed, plain, ids), await drive(windowed, plain, other)]
      const dim = a.out.length / 20
      expect(a.out.slice(19 * dim)).toEqual(b.out.slice(19 * dim))
    })
    it('full = chunked = step by step', async () => {
      const ids = tokens(24)
      const full = await drive(model, plain, ids)
      for (const pieces of [[7, 7, 7, 3], new Array(24).fill(1), [20, 1, 1, 2]])
        expect(nmse((await drive(model, plain, ids, pieces)).out, full.out)).toBeLessThan(1e-10)
    })
    it.runIf(edges)('ring = contiguous under a window', async () => {
      const ids = tokens(24)
      const seen = await drive(windowed, plain, ids, [24], contiguous())
      for (const pieces of [[24], [5, 5, 5, 5, 4], new Array(24).fill(1)])
        expect(nmse((await drive(windowed, plain, ids, pieces, ring())).out, seen.out)).toBeLessThan(1e-10)
    })
    it('allocates the bytes it declares', async () => {
      const runner = new Runner(model, plain, { cache: contiguous() })
      await runner.step([{ sequence: runner.open(), ids: tokens(5) }], noOutput)
      expect(runner.cacheBytes).toBe(keptBytes(model.spec, model.variants, { rows: 128 }))
      await runner.dispose()
    })
    it('decodes 300 tokens in at most 3 recordings and allocates nothing inside a bucket', async () => {
      const device = (await devices())[0] ?? reference()
      const runner = new Runner(model, device, { cache: contiguous() })
      const sequence = runner.open()
      const allocations: number[] = []
      for (const id of tokens(device.host ? 140 : 300)) {
        await runner.step([{ sequence, ids: [id] }], noOutput)
        allocations.push(runner.allocations)
      }
      expect(runner.recorded).toBeLessThanOrEqual(3)
      const growth = allocations.flatMap((n, i) => (i > 0 && n > allocations[i - 1] ? [i] : []))
      expect(growth.every(i => i === 128 || i === 256)).toBe(true)
      await runner.dispose()
    })
    checkLimits(variant, plain, tiny)
    checkBridges(variant, config, plain)
    checkGradients(variant, config, { position: tiny?.position })

    it('every device agrees with the reference', async () => {
      for (const device of await devices()) {
        for (const t of [1, 2, 63, 64, 65]) {
          const want = await drive(model, plain, tokens(t))
          expect(nmse((await drive(model, poisoned(device), tokens(t))).out, want.out), `${device.name}, ${t} tokens`).toBeLessThan(bound)
        }
        const pieced = edges ? windowed : model
        const want = await drive(pieced, plain, tokens(40))
        for (const pieces of [[40], [13, 13, 14], [32, ...new Array(8).fill(1)]])
          expect(
            nmse((await drive(pieced, poisoned(device), tokens(40), pieces)).out, want.out),
            `${device.name}, pieces ${pieces}`,
          ).toBeLessThan(bound)
      }
    })
  })
}
