import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cohere, falcon, gptBigcode, gptNeox, type Model, minimax, modelFrom, olmo2, qwen3Next, stablelm, swap } from '@attune/models'
import { folderOf, memoryOutput, memorySource, openCheckpoint } from '@attune/weights'
import { diskFolder } from '@attune/weights/node'
import { expect, it } from 'vitest'
import { everyVariant } from '../test/every-variant.ts'
import { logits, someIds, worst } from '../test/fixture.ts'
import { applyConversion, convert, exportModel } from './index.ts'
import { convertFolder } from './node/index.ts'

const fixture = async (type: string) =>
  openCheckpoint(await diskFolder(new URL(`../../models/test/fixtures/${type}`, import.meta.url).pathname))
const again = (files: ReadonlyMap<string, Uint8Array>) =>
  openCheckpoint(
    folderOf(
      'export',
      [...files].map(([name, bytes]) => memorySource(name, bytes)),
    ),
  )

it('a hybrid keeps its other layers when its heads are converted', async () => {
  const source = await fixture('qwen3_next')
  const model = modelFrom(source, qwen3Next, everyVariant)
  const { model: wide } = await convert(model, { layers: [{ layers: [3], to: 'mha' }] })
  const out = memoryOutput()
  const record = await exportModel(out, wide, source, { hashes: false })
  expect(record.kvHeadsInFiles).toBe(4)
  const copy = await again(out.files)
  const plain = modelFrom(copy, qwen3Next, everyVariant)
  expect(plain.spec.layers.map(l => l.attention.variant)).toEqual(['gated-deltanet', 'gated-deltanet', 'gated-deltanet', 'mha'])
  expect(worst(await logits(plain, someIds(20)), await logits(model, someIds(20)))).toBeLessThan(1e-4)
  await source.close()
})

it('writes copies where the type has no number of key heads', async () => {
  const source = await fixture('gpt_neox')
  const model = modelFrom(source, gptNeox, everyVariant)
  const { model: narrow } = await convert(model, { layers: [{ layers: [1], to: 'mqa', method: 'mean' }] })
  const out = memoryOutput()
  await exportModel(out, narrow, source, { hashes: false })
  const copy = await again(out.files)
  expect(copy.config).toEqual(source.config)
  const plain = modelFrom(copy, gptNeox, everyVariant)
  const restored = await applyConversion(copy, plain)
  expect(restored.spec.layers.map(l => l.attention.variant)).toEqual(narrow.spec.layers.map(l => l.attention.variant))
  expect(restored.spec.layers[1].attention.variant).toBe('mqa')
  for (const m of [plain, restored]) expect(worst(await logits(m, someIds(20)), await logits(narrow, someIds(20)))).toBeLessThan(1e-4)
  await source.close()
})

it.each([
  ['variations/cohere-normed', cohere],
  ['variations/stablelm-normed-parallel', stablelm],
  ['variations/olmo2-groups', olmo2],
] as const)('%s: norms of keys are copied with the heads, and taken out again', async (name, definition) => {
  const source = await fixture(name)
  const model = modelFrom(source, definition, everyVariant)
  const { model: wide } = await convert(model, { layers: [{ layers: [0], to: 'mha' }] })
  const ids = someIds(16, model.spec.vocab)
  expect(worst(await logits(wide, ids), await logits(model, ids))).toBeLessThan(1e-4)
  const out = memoryOutput()
  await exportModel(out, wide, source, { hashes: false })
  const copy = await again(out.files)
  const restored = await applyConversion(copy, modelFrom(copy, definition, everyVariant))
  expect(restored.spec.layers.map(l => l.attention.variant)).toEqual(wide.spec.layers.map(l => l.attention.variant))
  expect(worst(await logits(restored, ids), await logits(model, ids))).toBeLessThan(1e-4)
  await source.close()
})

it.each([
  ['variations/gpt_bigcode', gptBigcode, 'mha', { multi_query: false }],
  ['variations/falcon-shared', falcon, 'mha', { multi_query: false }],
  ['variations/gpt_bigcode-heads', gptBigcode, 'mqa', { multi_query: true }],
] as const)('%s says its number of key heads in its own word', async (name, definition, to, word) => {
  const source = await fixture(name)
  const model = modelFrom(source, definition, everyVariant)
  const { model: made } = await convert(model, { layers: [{ layers: 'all', to, ...(to === 'mqa' ? { method: 'mean' } : {}) }] })
  const out = memoryOutput()
  await exportModel(out, made, source, { hashes: false })
  const copy = await again(out.files)
  expect(copy.config).toMatchObject(word)
  const ids = someIds(16, model.spec.vocab)
  expect(worst(await logits(modelFrom(copy, definition, everyVariant), ids), await logits(made, ids))).toBeLessThan(1e-4)
  await source.close()
})

/** Another decay than the type has. */
const slower = (model: Model): Model => ({
  ...model,
  spec: swap(model.spec, l =>
    l.attention.variant === 'lightning'
      ? { ...l, attention: { ...l.attention, config: { ...l.attention.config, slopes: [1, 1, 1, 1] } } }
      : l,
  ),
})

it('refuses what no folder could hold before anything is converted', async () => {
  const source = await fixture('minimax')
  const model = slower(modelFrom(source, minimax, everyVariant))
  const heads = model.spec.layers.flatMap((l, i) => (l.attention.variant === 'gqa' ? [i] : []))
  const root = await mkdtemp(join(tmpdir(), 'attune-form-'))
  const steps: number[] = []
  const onProgress = ({ layer }: { layer: number }) => void steps.push(layer)
  const converted = convertFolder(model, { layers: [{ layers: heads, to: 'mha' }] }, join(root, 'out'), source, { onProgress })
  await expect(converted).rejects.toThrow(expect.objectContaining({ code: 'ERR_UNSUPPORTED' }))
  expect([heads.length > 0, steps, await readdir(root)]).toEqual([true, [], []])
  await rm(root, { recursive: true })
  await source.close()
})

it('names a layer that the source type cannot hold', async () => {
  const source = await fixture('minimax')
  const model = modelFrom(source, minimax, everyVariant)
  await expect(exportModel(memoryOutput(), slower(model), source)).rejects.toThrow(
    expect.objectContaining({ code: 'ERR_UNSUPPORTED', message: expect.stringContaining("layer 0 uses 'lightning'") }),
  )
  await source.close()
})
