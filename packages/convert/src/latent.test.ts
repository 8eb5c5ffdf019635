import type { Variant } from '@attune/attention'
import { mla } from '@attune/attention-latent'
import { cpu } from '@attune/backend-cpu'
import { allLogits, deepseekV2, deepseekV3, type Model, modelFrom, Runner, swap } from '@attune/models'
import { Constant } from '@attune/tensor'
import { folderOf, memoryOutput, memorySource, openCheckpoint } from '@attune/weights'
import { afterAll, describe, expect, it } from 'vitest'
import { fixture, variants as heads, someIds, worst } from '../test/fixture.ts'
import { applyConversion, type ConvertOptions, convert, convertAll, dryRun, exportModel, meanError, type Plan } from './index.ts'

const opened = cpu({ threads: 2 })
afterAll(async () => (await opened).close())
const variants: Model['variants'] = new Map<string, Variant>([...heads, [mla.name, mla]])
const tiny = async (name: string) => {
  const { model, checkpoint, ids } = await fixture(name)
  return { model: { ...model, variants }, checkpoint, ids }
}
const options = async (): Promise<ConvertOptions> => ({
  device: await opened,
  calibration: someIds(256),
  heldOut: someIds(64).reverse(),
  window: 64,
})
const toMla = (config = {}, more = {}): Plan => ({ layers: [{ layers: 'all', to: 'mla', config, ...more }] })

async function logits(model: Model, ids: readonly number[]): Promise<Float32Array> {
  const runner = new Runner(model, await opened)
  const r = await runner.step([{ sequence: runner.open(), ids }], allLogits)
  const { data } = await r.read('logits')
  await runner.dispose()
  return data as Float32Array
}

describe('heads to latents', () => {
  it.each(['llama-gqa-tied', 'llama-untied-bias', 'llama3-rope-mqa'])('%s keeps its logits while every rank is full', async name => {
    const { model, ids } = await tiny(name)
    const want = await logits(model, ids)
    const plans = [toMla(), toMla({ mode: 'materialised' }, { options: { rope: 'real' } }), toMla({}, { method: 'mha2mla' })]
    for (const { model: made, report } of await convertAll(model, plans, await options())) {
      expect(report.exactness).toBe('exact-at-full-rank')
      expect(report.kvBytesPerToken.after).toBe(report.kvBytesPerToken.before)
      expect(worst(await logits(made, ids), want)).toBeLessThan(1e-4)
    }
  })
  it('lose less with more, and say what they kept', async () => {
    const { model } = await tiny('llama-gqa-tied')
    const sizes = [8, 16, 24, 32].map(latent => toMla({ ropeDim: 16, latent }))
    const made = await convertAll(model, sizes, await options())
    const errors = made.map(m => meanError(m.report)!)
    for (const [i, e] of errors.slice(1).entries()) expect(e).toBeLessThan(errors[i])
    for (const { figures, to } of made[0].report.layers) {
      expect(to).toBe('mla')
      expect(figures.ropeEnergyComplex).toBeGreaterThanOrEqual(figures.ropeEnergyReal)
      expect(figures.ropeEnergyComplex).toBeLessThan(1)
      expect(figures.latentEnergy).toBeGreaterThan(0)
    }
    expect(dryRun(model, sizes[0]).layers[0].kvBytesPerToken).toEqual({ before: 4 * 64, after: 4 * 24 })
    const fitted = await convert(model, toMla({ ropeDim: 16, latent: 8 }, { fit: 'output' }), await options())
    expect(meanError(fitted.report)).toBeLessThan(errors[0])
  })
  it('name norms of queries and keys, which no weight can take up', async () => {
    const { model } = await tiny('llama-gqa-tied')
    const norms = model.spec.layers.flatMap((_, i) =>
      ['qNorm', 'kNorm'].map(n => [`layers.${i}.attention.${n}`, { weight: new Constant('f32', [16], new Uint8Array(64)) }] as const),
    )
    const qkNorm = { kind: 'rms', eps: 1e-6 }
    const spec = swap(model.spec, l => ({ ...l, attention: { ...l.attention, config: { ...l.attention.config, qkNorm } } }))
    const normed = { ...model, spec, values: new Map([...model.values, ...norms]) }
    for (const method of ['transmla', 'mha2mla'])
      await expect(convert(normed, toMla({}, { method }), await options())).rejects.toThrow(
        /layer 0: gqa cannot become mla.*'qNorm' acts on the heads too/,
      )
  })
  it('come back as heads where no norm stands between', async () => {
    const { model, ids } = await tiny('llama-untied-bias')
    const latent = (await convert(model, toMla({ ropeDim: 24, latent: 20 }), await options())).model
    const { model: back, report } = await convert(latent, { layers: [{ layers: 'all', to: 'mha' }] })
    expect(report.layers[0]).toMatchObject({ path: ['multiply-out'], exactness: 'exact' })
    expect(worst(await logits(back, ids), await logits(latent, ids))).toBeLessThan(1e-4)
  })
})

describe('a DeepSeek folder', () => {
  async function exported(name: string, plan: Plan) {
    const { model, checkpoint, ids } = await tiny(name)
    const conversion = await convert(model, plan, await options())
    const out = memoryOutput()
    const record = await exportModel(out, conversion.model, checkpoint, { conversion, calibration: someIds(256) })
    const again = await openCheckpoint(folderOf('export', [...out.files].map(([n, bytes]) => memorySource(n, bytes)))) // biome-ignore format: one line
    return { conversion, record, again, ids }
  }
  it.each([
    ['llama-gqa-tied', { ropeDim: 16, latent: 33, mode: 'materialised' }, deepseekV3],
    ['llama-untied-bias', { ropeDim: 12, latent: 49, queryLatent: 65 }, deepseekV2],
  ])('holds %s as latent attention of one rotated key', async (name, config, definition) => {
    const { conversion, record, again, ids } = await exported(name, toMla({ latentNorm: true, ...config }))
    expect(again.config).toMatchObject({
      model_type: definition.type,
      architectures: [definition === deepseekV3 ? 'DeepseekV3ForCausalLM' : 'DeepseekV2ForCausalLM'],
      kv_lora_rank: config.latent,
      q_lora_rank: 'queryLatent' in config ? config.queryLatent : null,
      qk_rope_head_dim: config.ropeDim,
      attention_bias: true,
      first_k_dense_replace: 3,
      dtype: 'float32',
    })
    expect(record).toMatchObject({ exactness: 'exact-at-full-rank', layers: [{ variant: 'mla' }, { variant: 'mla' }, { variant: 'mla' }] })
    const plain = modelFrom(again, definition, variants)
    const restored = await applyConversion(again, plain)
    expect(restored.spec.layers).toEqual(conversion.model.spec.layers)
    const want = await logits(conversion.model, ids)
    for (const model of [plain, restored]) expect(worst(await logits(model, ids), want)).toBeLessThan(1e-4)
  })
  it('is refused by name for what its config cannot say', async () => {
    const { model, checkpoint } = await tiny('llama-gqa-tied')
    const refuse = async (plan: Plan, message: RegExp) => {
      const made = await convert(model, plan, await options())
      await expect(exportModel(memoryOutput(), made.model, checkpoint)).rejects.toThrow(message)
    }
    await refuse(toMla({ ropeDim: 16 }), /layer 0: its latent passes no norm.*latentNorm: true/)
    await refuse(toMla({ latentNorm: true }), /frequencies that no single head of its width has/)
    await refuse({ layers: [{ layers: '0-1', to: 'mla', config: { ropeDim: 16, latentNorm: true } }] }, /layer 2 uses 'gqa'/)
    await refuse(
      { layers: [{ layers: '0', to: 'mla', config: { ropeDim: 16, latentNorm: true } }, { layers: '1-2', to: 'mla', config: { ropeDim: 16, latent: 9, latentNorm: true } }] }, // biome-ignore format: one line
      /layer 1 is unlike layer 0/,
    )
    const biased = await tiny('llama-untied-bias')
    const made = await convert(biased.model, toMla({ ropeDim: 24, latentNorm: true }), await options())
    await expect(exportModel(memoryOutput(), made.model, biased.checkpoint)).rejects.toThrow(/queries have a bias/)
  })
})
