import { gqa } from '@attune/attention-heads'
import { mla } from '@attune/attention-latent'
import { gatedDeltanet } from '@attune/attention-linear'
import { type CpuDevice, cpu } from '@attune/backend-cpu'
import { paged, quantised } from '@attune/cache'
import { testAttention, testCache, testDevice } from '@attune/testing'
import { collected, endings, expect, it } from './page-vitest.ts'

/** What a test asks of the page with the conformance suites. */
export interface SuitePage {
  readonly isolated: boolean
  readonly names: readonly string[]
  /** Builds that were opened. */
  readonly opened: readonly string[]
  /** What is wrong with one test, if anything. */
  run(i: number): Promise<string | undefined>
  close(): Promise<void>
}

const opened: string[] = []
const open = async (isa: 'relaxed-simd' | 'simd128' | undefined, workers: boolean): Promise<CpuDevice> => {
  const device = await cpu({ backend: 'wasm', isa, workers, threads: 2 })
  opened.push(`${device.name}, ${device.doctor().threads}`)
  return device
}
/** Opened when first asked for. */
const once = (make: () => Promise<CpuDevice>) => {
  let made: Promise<CpuDevice> | undefined
  return () => (made ??= make())
}

it('a wrong number is noticed here too', async () => {
  expect(() => expect(1).toBeLessThan(0)).toThrow()
  await expect(expect(Promise.reject(new Error('x'))).rejects.toMatchObject({ message: 'y' })).rejects.toThrow()
})

if (crossOriginIsolated) {
  const chosen = once(() => open(undefined, true))
  const devices = async () => [await chosen()]
  testDevice('chosen, on workers', () => open(undefined, true))
  testDevice('simd128, on workers', () => open('simd128', true))
  testAttention(gqa, { configs: [{ dim: 24, heads: 5, kvHeads: 2, headDim: 8, bias: true, headMap: [0, 0, 1, 1, 1] }], devices })
  testAttention(mla, { configs: [{ dim: 32, heads: 3, nopeDim: 8, ropeDim: 8, valueDim: 12, latent: 16 }], devices })
  const tiny = { position: { kind: 'none' } } as const
  testAttention(gatedDeltanet, { configs: [{ dim: 20, keyHeads: 2, valueHeads: 4, keyDim: 6, valueDim: 5 }], devices, tiny })
  const config = { dim: 64, heads: 4, kvHeads: 2, headDim: 32 }
  testCache({ name: 'chosen', cache: paged(), variant: gqa, config, device: chosen })
  testCache({ name: 'chosen', cache: quantised({ group: 8, recent: 3 }), variant: gqa, config, device: chosen, within: 5e-2 })
} else testDevice('chosen, on the page', () => open(undefined, false))

const page: SuitePage = {
  isolated: crossOriginIsolated,
  names: collected.map(c => c.name),
  opened,
  async run(i) {
    try {
      for (const begin of collected[i].before) await begin()
      await collected[i].body()
      return undefined
    } catch (error) {
      return String((error as Error).stack ?? error)
    }
  },
  async close() {
    for (const end of endings) await end()
  },
}

Object.assign(globalThis, { page })
