import { readFile } from 'node:fs/promises'
import { gqa, mha, mqa } from '@attune/attention-heads'
import { cpu } from '@attune/backend-cpu'
import { type Device, reference } from '@attune/tensor'
import { ggufCheckpoint } from '@attune/weights'
import { fileSource } from '@attune/weights/node'
import { describe, expect, it } from 'vitest'
import * as models from './index.ts'
import { allLogits, type ModelDefinition, modelFrom, Runner } from './index.ts'

const variants = new Map([gqa, mha, mqa].map(v => [v.name, v]))
const path = (file: string) => new URL(`../../weights/test/fixtures/gguf/${file}`, import.meta.url).pathname
const definitions = Object.values(models).filter((m): m is ModelDefinition => typeof m === 'object' && 'layout' in m)

/** The largest difference from PyTorch's logits at three positions (internal/oracles/gguf-architectures.py). */
async function worst(name: string, weights: 'as-stored' | 'f32', device: Device): Promise<number> {
  const checkpoint = await ggufCheckpoint(await fileSource(path(`${name}.gguf`)))
  const { ids, positions, logits } = JSON.parse(await readFile(path(`${name}.json`), 'utf8'))
  const definition = definitions.find(d => d.type === checkpoint.config.model_type)!
  const runner = new Runner(modelFrom(checkpoint, definition, variants, { weights }), device)
  const { data } = await (await runner.step([{ sequence: runner.open(), ids }], allLogits)).read('logits')
  const vocab = data.length / ids.length
  expect([positions.length, vocab]).toEqual([3, logits[0].length])
  const gaps = positions.map((at: number, i: number) =>
    Math.max(...logits[i].map((x: number, t: number) => Math.abs(data[at * vocab + t] - x))),
  )
  await runner.dispose()
  await checkpoint.close()
  return Math.max(...gaps)
}

/** Files made with llama.cpp's own package from tiny models. */
describe.each([
  'llama',
  'qwen2',
  'qwen3',
  'gemma',
  'gemma2',
  'gemma3',
  'gpt2',
  'phi2',
  'phi3',
  'smollm3',
  'granite',
  'olmo2',
  'starcoder2',
])('%s from GGUF', name => {
  it('gives the logits of the model it was made from', async () => {
    expect(await worst(name, 'as-stored', reference())).toBeLessThan(5e-5)
  })
})

describe('packed blocks from GGUF', () => {
  it('are exact as f32', async () => {
    expect(await worst('packed', 'f32', reference())).toBeLessThan(5e-5)
  })
  it.each(['native', 'wasm'] as const)('lose no more than halves as stored, on %s', async backend => {
    const device = await cpu({ backend, threads: 2 })
    expect(await worst('packed', 'as-stored', device)).toBeLessThan(1e-2)
    await device.close()
  })
})
