import type { Variant } from '@attune/attention'
import { allowed, type EvictionPolicy, evicting, type Kept, paged, type QuantisedOptions } from '@attune/cache'
import { lastLogits, noOutput, Runner } from '@attune/models'
import { type Device, reference } from '@attune/tensor'
import { describe, expect, it } from 'vitest'
import { nmse, tokens } from './drive.ts'
import { poisoned } from './poison.ts'
import { type TinyOptions, tinyModel } from './tiny-model.ts'

export interface PolicyTestOptions {
  readonly policy: EvictionPolicy
  /** A variant that keeps `rows`, and its config. */
  readonly variant: Variant
  readonly config: Record<string, unknown>
  readonly tiny?: TinyOptions
  readonly device?: () => Promise<Device>
}

/** The conformance suite of an eviction policy: harmless at a full budget, within a smaller one, and freeing what it drops. */
export function testPolicy({ policy, variant, config, tiny, device: open = async () => reference() }: PolicyTestOptions): void {
  describe(`${policy.name} under ${variant.name}`, () => {
    const model = tinyModel(variant, config, { layers: 2, ...tiny })
    const prompt = tokens(90)
    const next = [3, 14, 15, 9, 26]

    /** Feeds prompts side by side, settles each, and decodes after the last. */
    async function run(budget: number | undefined, prompts: readonly number[][], packed?: QuantisedOptions) {
      const device = poisoned(await open())
      const plans: Kept[] = []
      const watching: EvictionPolicy = {
        ...policy,
        plan(observed, b, rehearsed) {
          plans.push(policy.plan(observed, b, rehearsed))
          return plans[plans.length - 1]
        },
      }
      const cache = budget === undefined ? paged({ page: 4 }) : evicting(watching, { rows: budget }, { page: 4, packed })
      const runner = new Runner(model, device, { cache, chunk: 32 })
      const sequences = prompts.map(() => runner.open())
      for (const [i, ids] of prompts.entries()) await runner.feed(sequences[i], ids, noOutput, undefined, { settle: true })
      const bytes = runner.cacheBytes
      const logits: number[][] = []
      const own = sequences[sequences.length - 1]
      for (const id of next) {
        const { data, shape } = await (await runner.step([{ sequence: own, ids: [id] }], lastLogits)).read('logits')
        logits.push([...data.slice(own.row * shape[1], (own.row + 1) * shape[1])])
      }
      await runner.dispose()
      return { logits, plans, bytes }
    }

    it('changes no bit at a full budget', async () => {
      expect((await run(prompt.length, [prompt])).logits).toEqual((await run(undefined, [prompt])).logits)
    })
    it('stays within its budget and keeps something of every head', async () => {
      const { plans } = await run(0.25, [prompt])
      expect(plans.length).toBeGreaterThan(0)
      for (const heads of plans[0]) {
        const counts = heads!.map(slots => slots!.length)
        expect(Math.min(...counts)).toBeGreaterThan(0)
        const most = allowed({ rows: 0.25 }, prompt.length)
        expect(counts.reduce((a, b) => a + b, 0)).toBeLessThanOrEqual(most * counts.length)
      }
    })
    it('frees what it drops and decodes finite logits from the rest', async () => {
      const long = tokens(400)
      const [less, all] = [await run(0.25, [long]), await run(undefined, [long])]
      expect(less.bytes).toBeLessThan(0.6 * all.bytes)
      expect(less.logits.flat().every(Number.isFinite)).toBe(true)
    })
    it('packs what stays, or says that it looks at it again', async () => {
      const long = tokens(200)
      const packed = { bits: 8, group: 8, sinks: 2, recent: 3 } as const
      if (typeof policy.after === 'number') {
        await expect(run(0.25, [long], packed)).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED' })
        return
      }
      const [less, whole] = [await run(0.25, [long], packed), await run(0.25, [long])]
      expect(less.plans).toEqual(whole.plans)
      expect(less.bytes).toBeLessThan(0.8 * whole.bytes)
      expect(nmse(less.logits.flat(), whole.logits.flat())).toBeLessThan(1e-3)
    })
    it('plans alike alone and beside another sequence', async () => {
      const [alone, beside] = [await run(0.25, [prompt]), await run(0.25, [tokens(50, 50, 8), prompt])]
      expect(beside.plans[1]).toEqual(alone.plans[0])
    })
  })
}
