import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gptBigcode, gptNeox, minimax, modelFrom, qwen3Next } from '@attune/models'
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

it('refuses what no folder could hold before anything is converted', async () => {
  const source = await fixture('variations/gpt_bigcode')
  const model = modelFrom(source, gptBigcode, everyVariant)
  const root = await mkdtemp(join(tmpdir(), 'attune-form-'))
  const plan = { layers: [{ layers: 'all', to: 'mha' }] }
  const steps: number[] = []
  const onProgress = ({ layer }: { layer: number }) => void steps.push(layer)
  await expect(convertFolder(model, plan, join(root, 'out'), source, { onProgress })).rejects.toThrow(
    expect.objectContaining({ code: 'ERR_UNSUPPORTED' }),
  )
  expect(steps).toEqual([])
  expect(await readdir(root)).toEqual([])
  await rm(root, { recursive: true })
  await source.close()
})

it('names a layer that the source type cannot hold', async () => {
  const source = await fixture('minimax')
  const model = modelFrom(source, minimax, everyVariant)
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
