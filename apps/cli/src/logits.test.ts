import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { floats, readSafetensors } from '@attune/weights'
import { fileSource } from '@attune/weights/node'
import { expect, it } from 'vitest'
import { main } from './cli.ts'
import { testIo } from './test-io.ts'

const root = new URL('../../../packages/models/test/fixtures/', import.meta.url).pathname

it.each([
  'llama-gqa-tied',
  'llama-untied-bias',
  'llama3-rope-mqa',
  'gpt_oss',
  'deepseek_v3',
  'qwen3_next',
  'minimax',
  'deepseek_v2',
  'gemma2',
  't5',
  'bert',
  'modernbert',
  'vit',
])('logits of %s equal transformers, padded rows included', async name => {
  const dir = await mkdtemp(join(tmpdir(), 'attune-'))
  const out = join(dir, 'out.safetensors')
  const golden = JSON.parse(await readFile(join(root, name, 'golden.json'), 'utf8'))
  const io = testIo()
  expect(
    await main(
      [
        'logits',
        join(root, name),
        '--inputs',
        join(root, name, 'golden.json'),
        '--out',
        out,
        '--hidden',
        '--device',
        'reference',
        '--json',
      ],
      io,
    ),
    io.errors,
  ).toBe(0)
  expect(JSON.parse(io.output).tensors.map((t: { name: string }) => t.name)).toContain(name === 'vit' ? 'B.logits' : 'P.logits')
  const own = await readSafetensors(await fileSource(out))
  const oracle = await readSafetensors(await fileSource(join(root, name, 'golden.safetensors')))
  const tolerance = Math.max(2e-4, 3e-5 * golden.logit_absmax_B)
  const { P } = golden.inputs
  const real = P?.decoder_input_ids ? undefined : P?.attention_mask.flat()
  // What the encoder of an encoder-decoder gives is not asked for.
  for (const [tensor, entry] of oracle.tensors) {
    if (!/\.(logits|(decoder_)?hidden_states\.\d+)$/.test(tensor)) continue
    const want = await floats(entry)
    const got = await floats(own.tensors.get(tensor)!)
    expect(got.length).toBe(want.length)
    const width = entry.shape.at(-1)!
    for (let i = 0; i < want.length; i++)
      if (!tensor.startsWith('P.') || !real || real[Math.floor(i / width)]) expect(Math.abs(got[i] - want[i])).toBeLessThan(tolerance)
  }
  await rm(dir, { recursive: true })
})

it('names the file and the field of a bad input', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'attune-'))
  const path = join(dir, 'in.json')
  const { writeFile } = await import('node:fs/promises')
  await writeFile(path, JSON.stringify({ inputs: { A: { input_ids: [[1, 99999]] } } }))
  const io = testIo()
  expect(
    await main(
      ['logits', join(root, 'llama-gqa-tied'), '--inputs', path, '--out', join(dir, 'o.safetensors'), '--device', 'reference'],
      io,
    ),
  ).toBe(1)
  expect(io.errors).toMatch(/error\[ERR_FORMAT\].*in\.json.*A\.input_ids\[0\]\[1\] is 99999/)
  expect(await fileSource(join(dir, 'o.safetensors')).catch(e => e.code)).toBe('ERR_NOT_FOUND')
  await rm(dir, { recursive: true })
})
