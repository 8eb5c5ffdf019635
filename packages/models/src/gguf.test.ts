import { readFile } from 'node:fs/promises'
import { gqa, mha, mqa } from '@attune/attention-heads'
import { reference } from '@attune/tensor'
import { ggufCheckpoint } from '@attune/weights'
import { fileSource } from '@attune/weights/node'
import { describe, expect, it } from 'vitest'
import * as models from './index.ts'
import { allLogits, type ModelDefinition, modelFrom, Runner } from './index.ts'

const variants = new Map([gqa, mha, mqa].map(v => [v.name, v]))
const path = (file: string) => new URL(`../../weights/test/fixtures/gguf/${file}`, import.meta.url).pathname
const definitions = Object.values(models).filter((m): m is ModelDefinition => typeof m === 'object' && 'layout' in m)

/** Files made with llama.cpp's own package from tiny models, and PyTorch's logits of the models: internal/oracles/gguf-architectures.py. */
describe.each(['llama', 'qwen2', 'qwen3', 'gemma', 'gemma2', 'gemma3', 'gpt2', 'phi2', 'phi3'])('%s from GGUF', name => {
  it('gives the logits of the model it was made from', async () => {
    const checkpoint = await ggufCheckpoint(await fileSource(path(`${name}.gguf`)))
    const { ids, positions, logits } = JSON.parse(await readFile(path(`${name}.json`), 'utf8'))
    const definition = definitions.find(d => d.type === checkpoint.config.model_type)!
    expect(definition?.type).toBe(checkpoint.config.model_type)
    const runner = new Runner(modelFrom(checkpoint, definition, variants), reference())
    const { data } = await (await runner.step([{ sequence: runner.open(), ids }], allLogits)).read('logits')
    const vocab = data.length / ids.length
    expect(logits.length).toBe(3)
    for (const [i, at] of positions.entries())
      expect(Math.max(...logits[i].map((x: number, t: number) => Math.abs(data[at * vocab + t] - x)))).toBeLessThan(5e-5)
    await runner.dispose()
    await checkpoint.close()
  })
})
