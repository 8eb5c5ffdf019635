import { gqa, mha } from '@attune/attention-heads'
import { mla } from '@attune/attention-latent'
import { gatedDeltanet, lightning, mamba2 as mixer } from '@attune/attention-linear'
import { deepseekV2, deepseekV3, gptOss, type ModelDefinition, mamba2, minimax, modelFrom, qwen3Next } from '@attune/models'
import { folderOf, memoryOutput, memorySource, openCheckpoint } from '@attune/weights'
import { diskFolder } from '@attune/weights/node'
import { describe, expect, it } from 'vitest'
import { logits, someIds, worst } from '../test/fixture.ts'
import { applyConversion, convert, exportModel } from './index.ts'

const variants = new Map([gqa, mha, mla, gatedDeltanet, lightning, mixer].map(v => [v.name, v]))
const fixture = async (type: string) =>
  openCheckpoint(await diskFolder(new URL(`../../models/test/fixtures/${type}`, import.meta.url).pathname))
const again = (files: ReadonlyMap<string, Uint8Array>) =>
  openCheckpoint(
    folderOf(
      'export',
      [...files].map(([name, bytes]) => memorySource(name, bytes)),
    ),
  )

describe.each([gptOss, deepseekV2, deepseekV3, qwen3Next, mamba2, minimax] as ModelDefinition[])('$type', definition => {
  it('is written from the layout it was read by', async () => {
    const source = await fixture(definition.type)
    const out = memoryOutput()
    await exportModel(out, modelFrom(source, definition, variants), source, { hashes: false })
    const copy = await again(out.files)
    expect(copy.config).toEqual(source.config)
    for (const [name, { shape }] of copy.tensors) expect([name, shape]).toEqual([name, source.tensors.get(name)?.shape])
    for (const [name, entry] of copy.tensors)
      expect([name, Buffer.compare(await entry.read(), await source.tensors.get(name)!.read())]).toEqual([name, 0])
    const model = modelFrom(copy, definition, variants)
    expect(await applyConversion(copy, model)).toBe(model)
    await source.close()
  })
})

it('a hybrid keeps its other layers when its heads are converted', async () => {
  const source = await fixture('qwen3_next')
  const model = modelFrom(source, qwen3Next, variants)
  const { model: wide } = await convert(model, { layers: [{ layers: [3], to: 'mha' }] })
  const out = memoryOutput()
  const record = await exportModel(out, wide, source, { hashes: false })
  expect(record.kvHeadsInFiles).toBe(4)
  const copy = await again(out.files)
  const plain = modelFrom(copy, qwen3Next, variants)
  expect(plain.spec.layers.map(l => l.attention.variant)).toEqual(['gated-deltanet', 'gated-deltanet', 'gated-deltanet', 'mha'])
  expect(worst(await logits(plain, someIds(20)), await logits(model, someIds(20)))).toBeLessThan(1e-4)
  await source.close()
})

it('names a layer that the source type cannot hold', async () => {
  const source = await fixture('minimax')
  const model = modelFrom(source, minimax, variants)
  const slower = model.spec.layers.map(l =>
    l.attention.variant === 'lightning'
      ? { ...l, attention: { ...l.attention, config: { ...l.attention.config, slopes: [1, 1, 1, 1] } } }
      : l,
  )
  await expect(exportModel(memoryOutput(), { ...model, spec: { ...model.spec, layers: slower } }, source)).rejects.toThrow(
    expect.objectContaining({ code: 'ERR_UNSUPPORTED', message: expect.stringContaining("layer 0 uses 'lightning'") }),
  )
  await source.close()
})
