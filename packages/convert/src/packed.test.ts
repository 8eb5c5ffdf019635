import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { llama, modelFrom } from '@attune/models'
import { isCodec, type q8_0, type Storage } from '@attune/tensor'
import { type Checkpoint, fromEntry, type GgufType, openCheckpoint, saveGguf } from '@attune/weights'
import { diskOutput, fileFolder } from '@attune/weights/node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { device, fixture, logits, someIds, variants, worst } from '../test/fixture.ts'
import { applyConversion, type Plan, verify } from './index.ts'
import { type ConvertFolderOptions, convertFolder } from './node/index.ts'

let root: string
let count = 0
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'attune-packed-'))
})
afterAll(() => rm(root, { recursive: true }))

/** The tiny llama as a GGUF of a packed type. */
async function packed(type: GgufType): Promise<Checkpoint> {
  const { checkpoint } = await fixture('llama-gqa-tied')
  const fileName = `source-${count++}.gguf`
  await saveGguf(
    await diskOutput(root),
    checkpoint,
    [...checkpoint.tensors.values()].map(e => fromEntry(e)),
    { type, fileName },
  )
  return opened(fileName)
}
const opened = async (file: string) => openCheckpoint(await fileFolder(join(root, file)))
const wide: Plan = { layers: [{ layers: 'all', to: 'mha' }] }
const narrow: Plan = { layers: [{ layers: [1], to: 'mqa', method: 'mean' }] }

async function made(source: Checkpoint, plan: Plan, options: ConvertFolderOptions) {
  const file = `made-${count++}.gguf`
  const { record } = await convertFolder(modelFrom(source, llama, variants), plan, join(root, file), source, options)
  return { record, copy: await opened(file) }
}
const name = (storage: unknown) => (isCodec(storage as Storage) ? (storage as typeof q8_0).name : storage)

describe.each(['q4_0', 'q4_1', 'q8_0'] as const)('a source packed as %s', type => {
  it('stays packed and exact where heads are repeated', async () => {
    const source = await packed(type)
    const { record, copy } = await made(source, wide, { write: { dtype: 'as-stored' } })
    expect(record).toMatchObject({ exactness: 'exact', rounding: { relative: 0, largest: 0 } })
    for (const [tensor, entry] of copy.tensors) {
      const own = source.tensors.get(tensor)!
      expect([tensor, name(entry.dtype)]).toEqual([tensor, name(own.dtype)])
      const [bytes, before] = [Buffer.from(await entry.read()), Buffer.from(await own.read())]
      if (!/[kv]_proj\.weight/.test(tensor)) expect([tensor, bytes.equals(before)]).toEqual([tensor, true])
      else {
        const span = before.length / 2 // each of two heads is read by two queries
        const heads = [0, 0, 1, 1].map(h => before.subarray(h * span, (h + 1) * span))
        expect([tensor, bytes.equals(Buffer.concat(heads))]).toEqual([tensor, true])
      }
    }
    expect(
      worst(await logits(modelFrom(copy, llama, variants), someIds(12)), await logits(modelFrom(source, llama, variants), someIds(12))),
    ).toBeLessThan(1e-4)
    await source.close()
    await copy.close()
  })

  it('is packed anew where there was arithmetic, and only there; the loss is said', async () => {
    const source = await packed(type)
    const { record, copy } = await made(source, narrow, { device, heldOut: someIds(20), window: 10 })
    expect(record.rounding.relative).toBeGreaterThan(0)
    expect(record.rounding.relative).toBeLessThan(type === 'q8_0' ? 0.01 : 0.1)
    const changed: string[] = []
    for (const [tensor, entry] of copy.tensors) {
      const own = source.tensors.get(tensor)!
      expect([tensor, name(entry.dtype)]).toEqual([tensor, name(own.dtype)])
      if (!Buffer.from(await entry.read()).equals(Buffer.from(await own.read()))) changed.push(tensor)
    }
    expect(changed).toEqual(['k', 'v'].map(x => `model.layers.1.self_attn.${x}_proj.weight`))
    const restored = await applyConversion(copy, modelFrom(copy, llama, variants))
    expect(restored.spec.layers.map(l => l.attention.variant)).toEqual(['gqa', 'mqa', 'gqa'])
    const { claims, holds } = await verify(copy, modelFrom(copy, llama, variants), {
      source: { checkpoint: source, model: modelFrom(source, llama, variants) },
      device,
    })
    expect([holds, claims.filter(c => !c.holds)]).toEqual([true, []])
    expect(claims.map(c => c.claim)).toContain('mean KL')
    await source.close()
    await copy.close()
  })
})

it.each([
  ['f32', 0, 0],
  ['f16', 1e-6, 1e-3],
  ['bf16', 1e-5, 5e-3],
  ['q8_0', 1e-3, 0.01],
  ['q4_0', 1e-2, 0.15],
] as const)('written as %s, the loss lies between %f and %f', async (dtype, least, most) => {
  const { checkpoint } = await fixture('llama-gqa-tied')
  const { record, copy } = await made(checkpoint, wide, { write: { dtype } })
  expect(record.dtype).toBe(dtype)
  expect(record.rounding.relative).toBeGreaterThanOrEqual(least)
  expect(record.rounding.relative).toBeLessThanOrEqual(most)
  expect(copy.conversion).toEqual(JSON.parse(JSON.stringify(record)))
  await copy.close()
})

it('a folder of safetensors holds no packed numbers', async () => {
  const source = await packed('q8_0')
  const model = modelFrom(source, llama, variants)
  await expect(convertFolder(model, wide, join(root, 'folder'), source, { write: { dtype: 'q8_0' } })).rejects.toThrow(
    expect.objectContaining({ code: 'ERR_ARGUMENT', message: expect.stringMatching(/no numbers packed as q8_0.*\.gguf/) }),
  )
  await source.close()
})

it('a file that is there is not written over', async () => {
  const source = await packed('q8_0')
  const file = `made-${count++}.gguf`
  const model = modelFrom(source, llama, variants)
  await convertFolder(model, wide, join(root, file), source)
  await expect(convertFolder(model, wide, join(root, file), source)).rejects.toThrow(/is there already/)
  await source.close()
})
