import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { llama, type Model, modelFrom } from '@attune/models'
import { type Checkpoint, folderOf, memoryOutput, memorySource, openCheckpoint } from '@attune/weights'
import { diskFolder } from '@attune/weights/node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { device, fixture, logits, someIds, variants, worst } from '../test/fixture.ts'
import { applyConversion, type ConvertOptions, convert, type ExportOptions, exportModel, type Plan } from './index.ts'
import { exportFolder } from './node/index.ts'

const calibrated: ConvertOptions = { device, calibration: someIds(64), window: 32 }
const load = async (files: ReadonlyMap<string, Uint8Array>) =>
  openCheckpoint(
    folderOf(
      'export',
      [...files].map(([name, bytes]) => memorySource(name, bytes)),
    ),
  )
const edited = (files: ReadonlyMap<string, Uint8Array>, edit: (json: any) => void): Map<string, Uint8Array> => {
  const json = JSON.parse(new TextDecoder().decode(files.get('conversion.json')))
  edit(json)
  return new Map(files).set('conversion.json', new TextEncoder().encode(JSON.stringify(json)))
}

async function exported(model: Model, checkpoint: Checkpoint, options: ExportOptions = {}) {
  const out = memoryOutput()
  const record = await exportModel(out, model, checkpoint, options)
  const again = await load(out.files)
  const plain = modelFrom(again, llama, variants)
  return { files: out.files, record, checkpoint: again, plain, restored: await applyConversion(again, plain) }
}

const mixed: Plan = {
  layers: [
    { layers: '0', to: 'mqa', method: 'least-squares' },
    { layers: [2], to: 'mha' },
  ],
}

describe('an exported folder', () => {
  it('holds one head count for all layers and comes back with each layer as it was', async () => {
    const { model, checkpoint, ids } = await fixture('llama-gqa-tied')
    const conversion = await convert(model, mixed, calibrated)
    const {
      plain,
      restored,
      record,
      checkpoint: again,
    } = await exported(conversion.model, checkpoint, { conversion, calibration: someIds(64) })
    const want = await logits(conversion.model, ids)
    expect(plain.spec.layers.map(l => l.attention.variant)).toEqual(['mha', 'mha', 'mha'])
    expect(worst(await logits(plain, ids), want)).toBeLessThan(1e-4)
    expect(restored.spec).toEqual(conversion.model.spec)
    expect(worst(await logits(restored, ids), want)).toBeLessThan(1e-4)
    expect(again.config).toMatchObject({ num_key_value_heads: 4, model_type: 'llama', dtype: 'float32' })
    expect(again.conversion).toMatchObject({
      exactness: 'least-squares',
      dtype: 'f32',
      rounding: { relative: 0, largest: 0 },
      plan: mixed,
      kvHeadsInFiles: 4,
      layers: [{ variant: 'mqa' }, { variant: 'gqa' }, { variant: 'mha' }],
      calibration: { tokens: 64, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
      source: { name: 'llama-gqa-tied', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    })
    expect(record).toEqual(again.conversion)
  })
  it('needs no copies for layers that are alike', async () => {
    const { model, checkpoint, ids } = await fixture('llama-untied-bias')
    const conversion = await convert(
      model,
      { layers: [{ layers: 'all', to: 'gqa', method: 'aligned', config: { kvHeads: 2 } }] },
      calibrated,
    )
    const { plain, restored, record } = await exported(conversion.model, checkpoint)
    expect(record.kvHeadsInFiles).toBe(2)
    expect(restored).toBe(plain) // nothing to take out: the same layers
    expect(worst(await logits(plain, ids), await logits(conversion.model, ids))).toBeLessThan(1e-4)
  })
  it('holds uneven maps as copies', async () => {
    const { model, checkpoint, ids } = await fixture('llama-untied-bias')
    const plan: Plan = { layers: [{ layers: 'all', to: 'gqa', method: 'mean', config: { headMap: [0, 0, 0, 1] } }] }
    const conversion = await convert(model, plan)
    const { plain, restored, record } = await exported(conversion.model, checkpoint)
    expect(record.kvHeadsInFiles).toBe(4)
    expect(restored.spec.layers[1].attention.config).toMatchObject({ kvHeads: 2, headMap: [0, 0, 0, 1] })
    for (const m of [plain, restored]) expect(worst(await logits(m, ids), await logits(conversion.model, ids))).toBeLessThan(1e-4)
  })
  it('states the rounding of narrower types apart from the class', async () => {
    const { model, checkpoint } = await fixture('llama-gqa-tied')
    const conversion = await convert(model, { layers: [{ layers: 'all', to: 'mha' }] })
    for (const [dtype, most] of [
      ['f16', 1e-3],
      ['bf16', 5e-3],
    ] as const) {
      const { record, restored, checkpoint: again } = await exported(conversion.model, checkpoint, { conversion, dtype })
      expect(record).toMatchObject({ exactness: 'exact', dtype })
      expect(record.rounding.relative).toBeGreaterThan(0)
      expect(record.rounding.relative).toBeLessThan(most)
      expect([...again.tensors.values()].every(t => t.dtype === dtype)).toBe(true)
      expect(restored.spec.layers[0].attention.variant).toBe('mha')
    }
  })
  it('is cut into shards', async () => {
    const { model, checkpoint, ids } = await fixture('llama-gqa-tied')
    const { files, restored } = await exported(model, checkpoint, { maxShardBytes: 200_000, hashes: false })
    expect([...files.keys()]).toContain('model.safetensors.index.json')
    expect(worst(await logits(restored, ids), await logits(model, ids))).toBe(0)
  })
})

describe('a record that does not fit', () => {
  let files: Map<string, Uint8Array>
  beforeAll(async () => {
    const { model, checkpoint } = await fixture('llama-gqa-tied')
    files = (await exported((await convert(model, mixed, calibrated)).model, checkpoint)).files
  })
  const refuse = async (edit: (json: any) => void, message: RegExp) => {
    const checkpoint = await load(edited(files, edit))
    await expect(applyConversion(checkpoint, modelFrom(checkpoint, llama, variants))).rejects.toThrow(message)
  }
  it('is refused by name', async () => {
    await refuse(j => (j.format = 9), /has format 9/)
    await refuse(j => j.layers.pop(), /must list 3 layers/)
    await refuse(j => (j.layers[1] = 'mqa'), /no variant and config for layer 1/)
    await refuse(j => (j.layers[1].config.headDim = 8), /says headDim 8 for layer 1, config\.json says 16/)
    await refuse(j => (j.layers[1].variant = 'nsa'), /layer 1: variant 'nsa' is not among/)
    await refuse(j => (j.layers[1].config.kvHeads = 2e9), /which cannot be|whole number/)
    await refuse(j => (j.layers[1].config.headMap = [0, 0, 5, 1]), /which cannot be/)
    await refuse(j => (j.layers[1] = { variant: 'mqa', config: j.layers[0].config }), /layer 1, attention\.k: heads 0 and 2 .* differ/)
  })
})

describe('on disk', () => {
  let root: string
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'attune-export-'))
  })
  afterAll(() => rm(root, { recursive: true }))
  it('appears whole, replaces an earlier export, and leaves other folders alone', async () => {
    const { model, checkpoint } = await fixture('llama-gqa-tied')
    const path = join(root, 'a')
    await exportFolder(model, path, checkpoint, { maxShardBytes: 200_000 })
    expect((await readdir(path)).filter(f => f.endsWith('.safetensors')).length).toBeGreaterThan(1)
    await exportFolder(model, path, checkpoint)
    expect((await readdir(path)).sort()).toEqual(['config.json', 'conversion.json', 'generation_config.json', 'model.safetensors'])
    const opened = await openCheckpoint(await diskFolder(path))
    expect(opened.conversion).toBeDefined()
    await opened.close()
    const other = join(root, 'b')
    await mkdir(other)
    await writeFile(join(other, 'notes.txt'), 'mine')
    await expect(exportFolder(model, other, checkpoint)).rejects.toThrow(/not empty/)
  })
  it('leaves nothing when aborted', async () => {
    const { model, checkpoint } = await fixture('llama-gqa-tied')
    const abort = new AbortController()
    const path = join(root, 'c')
    const options = { signal: abort.signal, onProgress: () => abort.abort() }
    await expect(exportFolder(model, path, checkpoint, options)).rejects.toThrow(/abort/)
    expect(await readdir(root)).not.toContain('c')
  })
})
