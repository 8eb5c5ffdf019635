import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { env } from '@huggingface/transformers'
import { expect, it } from 'vitest'
import { openOnnx } from '../src/against/transformers-js.ts'
import { attune, scratch, toy } from './cli.ts'

const folder = fileURLToPath(new URL('fixtures/onnx-llama', import.meta.url))
const prompt = ['-p', 'The Rays of Light fall upon the Paper.']

it('the export gives the logits of PyTorch', async () => {
  const { ids, last } = JSON.parse(await readFile(join(folder, 'logits.json'), 'utf8'))
  const before = { ...env }
  const model = await openOnnx(folder)
  expect({ ...env }).toEqual(before)
  const { data, vocab } = await model.logits(ids)
  expect(vocab).toBe(512)
  const own = Array.from(data).slice(-vocab)
  expect(Math.max(...own.map((x, i) => Math.abs(x - last[i])))).toBeLessThan(1e-4)
  await model.close()
})

it.each(['native', 'wasm'])('compares with an ONNX export in transformers.js, %s', async device => {
  const args = ['compare', folder, '--against', 'transformers.js', '--onnx', folder, ...prompt, '-n', '24', '--device', device]
  const { code, json, errors } = await attune([...args, '--json'])
  expect(code, errors).toBe(0)
  expect(json.maxLogitDifference).toBeGreaterThan(0)
  expect(json.maxLogitDifference).toBeLessThan(1e-4)
  expect(json.meanKl).toBeLessThan(1e-8)
  expect(json).toMatchObject({ topAgreement: 1, firstDivergence: -1, greedy: { tokens: 24 } })
  expect(json.greedy.diverges).toBeUndefined()
  expect(Math.min(json.a.tokensPerSecond, json.b.tokensPerSecond)).toBeGreaterThan(0)
  expect(json.b.runs).toMatch(/^transformers\.js 4\./)
})

it('says where another model parts', async () => {
  const other = join(await scratch(), 'other')
  await cp(folder, other, { recursive: true })
  const config = JSON.parse(await readFile(join(other, 'config.json'), 'utf8'))
  config.rope_parameters.rope_theta = 20
  await writeFile(join(other, 'config.json'), JSON.stringify(config))
  const { json } = await attune(['compare', other, '--against', 'transformers.js', '--onnx', folder, ...prompt, '--json'])
  expect(json.meanKl).toBeGreaterThan(1e-4)
  expect(json.greedy.diverges.gap).toBeGreaterThan(0)
  const text = await attune(['compare', other, '--against', 'transformers.js', '--onnx', folder, ...prompt])
  expect(text.output).toMatch(/parts at token \d+: ".*" and ".*", .* nats apart/)
  expect(text.output).toMatch(/tokens per second .* in transformers\.js 4/)
})

it('says what is missing', async () => {
  await expect(openOnnx(folder, { peer: '@huggingface/no-such-package' })).rejects.toMatchObject({
    code: 'ERR_UNSUPPORTED',
    message: expect.stringContaining('npm install @huggingface/no-such-package'),
  })
  expect((await attune(['compare', toy, '--against', 'transformers.js'])).errors).toMatch(/ERR_NOT_FOUND.*has no folder onnx/)
  const empty = join(await scratch(), 'empty')
  await cp(folder, empty, { recursive: true })
  await rm(join(empty, 'onnx/model.onnx'))
  expect((await attune(['compare', empty, '--against', 'transformers.js'])).errors).toMatch(/ERR_NOT_FOUND.*cannot open/)
  expect((await attune(['compare', toy, '--against', 'transformers.js', '--onnx', folder])).code).toBe(0)
  const usage = await attune(['compare', toy])
  expect([usage.code, usage.errors]).toEqual([2, expect.stringContaining('--against transformers.js')])
})
