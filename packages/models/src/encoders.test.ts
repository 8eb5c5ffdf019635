import { mha } from '@attune/attention-heads'
import { cpu } from '@attune/backend-cpu'
import { type Device, reference } from '@attune/tensor'
import { floats, openCheckpoint, readSafetensors } from '@attune/weights'
import { diskFolder, fileSource } from '@attune/weights/node'
import { afterAll, describe, expect, it } from 'vitest'
import {
  bert,
  distilbert,
  Encoder,
  type EncoderDefinition,
  encoderFrom,
  encoderStates,
  filesFromValues,
  modernbert,
  roberta,
  xlmRoberta,
} from './index.ts'

const variants = new Map([[mha.name, mha]])
const definitions: EncoderDefinition[] = [bert, roberta, xlmRoberta, distilbert, modernbert]
const opened = new Map<string, Promise<Device>>([
  ['reference', Promise.resolve(reference())],
  ['native', cpu({ backend: 'native', threads: 2 })],
])
afterAll(async () => {
  for (const device of opened.values()) await (await device).close()
})

/** Classes and settings of text encoders; see internal/oracles/encoder-variations.py. */
describe.each([
  ...['bert-model', 'bert-pretraining', 'bert-sequence', 'bert-token', 'bert-question'],
  ...['roberta-model', 'roberta-masked', 'roberta-sequence', 'xlm-roberta-token'],
  ...['distilbert-model', 'distilbert-masked', 'distilbert-sequence', 'distilbert-question'],
  ...['modernbert-model', 'modernbert-masked', 'modernbert-sequence', 'modernbert-token'],
])('%s', name => {
  const path = new URL(`../test/fixtures/encoders/${name}`, import.meta.url).pathname
  const load = async () => {
    const checkpoint = await openCheckpoint(await diskFolder(path))
    const definition = definitions.find(d => d.type === checkpoint.config.model_type)!
    return { checkpoint, definition, model: encoderFrom(checkpoint, definition, variants) }
  }
  it.each([...opened.keys()])('gives the states and the head of transformers, on %s', async device => {
    const { tensors } = await readSafetensors(await fileSource(`${path}/expected.safetensors`))
    const value = async (key: string) => floats(tensors.get(key)!)
    const { checkpoint, model } = await load()
    const encoder = new Encoder(model, (await opened.get(device))!)
    const items = await Promise.all(
      [0, 1].map(async i => ({ ids: [...(await value(`ids.${i}`))], types: [...(await value(`types.${i}`))] })),
    )
    const got = await encoder.run(items, encoderStates, async r => ({
      final: (await r.read('final')).data as Float32Array,
      head: model.spec.head && ((await r.read('head')).data as Float32Array),
    }))
    const whole = async (key: string) => (await Promise.all([0, 1].map(async i => [...(await value(`${key}.${i}`))]))).flat()
    expectClose(got.final, await whole('final'))
    expect(tensors.has('head.0')).toBe(got.head !== undefined)
    if (got.head) expectClose(got.head, await whole('head'))
    await encoder.dispose()
    await checkpoint.close()
  })
  it('is written as it was read', async () => {
    const { checkpoint, definition, model } = await load()
    const files = filesFromValues(definition.layout(model.spec), model.values)
    for (const [file, made] of files) {
      const entry = checkpoint.tensors.get(file)
      if (entry) expect([file, made.shape, Buffer.compare(await made.bytes(), await entry.read())]).toEqual([file, entry.shape, 0])
    }
    expect(files.size).toBeGreaterThan(20)
    await checkpoint.close()
  })
})

function expectClose(got: ArrayLike<number>, want: readonly number[]): void {
  const tolerance = Math.max(2e-4, 3e-5 * want.reduce((m, x) => Math.max(m, Math.abs(x)), 0))
  // Rows of sentences that a batch leaves empty lie behind.
  for (const [i, x] of want.entries()) expect(Math.abs(got[i] - x)).toBeLessThan(tolerance)
}
