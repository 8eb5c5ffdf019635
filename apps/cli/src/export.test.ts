import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { floats, readSafetensors } from '@attune/weights'
import { fileSource } from '@attune/weights/node'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { main } from './cli.ts'
import { testIo } from './test-io.ts'

const root = new URL('../../../packages/models/test/fixtures/', import.meta.url).pathname
let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'attune-'))
})
afterAll(() => rm(dir, { recursive: true }))

async function logitsOf(file: string): Promise<Float32Array> {
  const source = await fileSource(file)
  const logits = await floats((await readSafetensors(source)).tensors.get('A.logits')!)
  await source.close()
  return logits
}

it.each(['llama-gqa-tied', 'llama-untied-bias', 'llama3-rope-mqa', 'qwen3', 'gpt2'])(
  '%s exported as GGUF gives the same logits',
  async name => {
    const out = join(dir, `${name}.gguf`)
    const io = testIo()
    expect(await main(['export', join(root, name), '--type', 'f32', '--out', out], io), io.errors).toBe(0)
    expect(io.output).toContain(`written  ${out} in f32`)
    const logits = join(dir, `${name}.safetensors`)
    const run = testIo()
    expect(
      await main(['logits', out, '--inputs', join(root, name, 'golden.json'), '--out', logits, '--device', 'reference'], run),
      run.errors,
    ).toBe(0)
    const [got, want] = await Promise.all([logits, join(root, name, 'golden.safetensors')].map(logitsOf))
    expect(want.length).toBeGreaterThan(0)
    for (let i = 0; i < want.length; i++) expect(Math.abs(got[i] - want[i])).toBeLessThan(2e-4)
  },
)

it.each([
  ['gemma2', /GGUF cannot say this of a gemma2: layers.0.attention.config.scale 0.204\d+ would become 0.25/],
  ['mistral', /'sliding_window' 8 cannot be written as GGUF of llama/],
])('refuses %s, which GGUF cannot say, before anything is written', async (name, why) => {
  const io = testIo()
  expect(await main(['export', join(root, name), '--out', join(dir, `${name}.gguf`)], io)).not.toBe(0)
  expect(io.errors).toMatch(why)
  expect(await readdir(dir)).not.toContain(`${name}.gguf`)
})

it('refuses a type it does not write', async () => {
  const io = testIo()
  expect(await main(['export', join(root, 'gemma2'), '--type', 'q4_k'], io)).not.toBe(0)
  expect(io.errors).toMatch(/--type must be one of f32, f16, bf16, q4_0, q4_1, q8_0/)
})
