import { gqa, mha, mqa } from '@attune/attention-heads'
import { allLogits, llama, modelFrom, Runner } from '@attune/models'
import { Constant, reference } from '@attune/tensor'
import { openCheckpoint } from '@attune/weights'
import { diskFolder } from '@attune/weights/node'
import { expect, it } from 'vitest'
import { cost, perplexity, twin } from './index.ts'

const device = reference()
const variants = new Map([mha, mqa, gqa].map(v => [v.name, v]))
const checkpoint = await openCheckpoint(await diskFolder(new URL('../../models/test/fixtures/llama-gqa-tied', import.meta.url).pathname))
const model = modelFrom(checkpoint, llama, variants)
const ids = Array.from({ length: 21 }, (_, i) => (i * 37 + 5) % 200)

const logSoftmaxAt = (row: ArrayLike<number>, i: number): number => {
  const top = Math.max(...Array.from(row))
  return row[i] - top - Math.log(Array.from(row).reduce((n, x) => n + Math.exp(x - top), 0))
}
async function logitsOf(tokens: number[]): Promise<Float32Array[]> {
  const runner = new Runner(model, device)
  const r = await runner.step([{ sequence: runner.open(), ids: tokens }], allLogits)
  const { data, shape } = await r.read('logits')
  return tokens.map((_, i) => (data as Float32Array).slice(i * shape[1], (i + 1) * shape[1]))
}

it('perplexity is the exponential of the mean loss, whatever the pieces', async () => {
  const logits = await logitsOf(ids)
  const nll = ids.slice(1).reduce((n, id, i) => n - logSoftmaxAt(logits[i], id), 0) / 20
  const whole = await perplexity(new Runner(model, device), ids)
  expect(whole.nll).toBeCloseTo(nll, 5)
  expect(whole.tokens).toBe(20)
  const pieces = await perplexity(new Runner(model, device, { chunk: 4 }), ids)
  expect(pieces.nll).toBeCloseTo(nll, 5)
  const windows = await perplexity(new Runner(model, device), ids, { window: 7 })
  expect(windows.tokens).toBe(18)
  const prompted = await perplexity(new Runner(model, device, { chunk: 4 }), ids, { prompt: 13 })
  expect(prompted.losses).toHaveLength(8)
  for (const [i, loss] of prompted.losses.entries()) expect(loss).toBeCloseTo(whole.losses[12 + i], 4)
  await expect(perplexity(new Runner(model, device), ids, { prompt: 21 })).rejects.toThrow(/leaves nothing/)
  await expect(perplexity(new Runner(model, device), [1])).rejects.toMatchObject({ code: 'ERR_ARGUMENT' })
})

it('a model differs from itself by nothing and from a disturbed one by what the logits say', async () => {
  const same = await twin(new Runner(model, device, { chunk: 8 }), new Runner(model, device), ids)
  expect(same).toMatchObject({ tokens: 21, maxLogitDifference: 0, topAgreement: 1, firstDivergence: -1 })
  expect(same.meanKl).toBeLessThan(1e-6)
  const o = model.values.get('layers.1.attention.o')!
  const doubled = new Float32Array((await o.weight.bytes()).slice().buffer).map(x => x * 1.5)
  const values = new Map(model.values).set('layers.1.attention.o', {
    weight: new Constant('f32', o.weight.shape, new Uint8Array(doubled.buffer)),
  })
  const other = { ...model, values }
  const report = await twin(new Runner(model, device), new Runner(other, device), ids)
  expect(report.layerErrors[0]).toBe(0)
  expect(report.layerErrors[1]).toBeCloseTo(0.5, 4)
  const source = await logitsOf(ids)
  const runner = new Runner(other, device)
  const { data, shape } = await (await runner.step([{ sequence: runner.open(), ids }], allLogits)).read('logits')
  const rows = ids.map((_, i) => data.subarray(i * shape[1], (i + 1) * shape[1]))
  const kl = rows.map((row, t) =>
    Array.from(row).reduce((n, _, i) => {
      const p = logSoftmaxAt(source[t], i)
      return n + Math.exp(p) * (p - logSoftmaxAt(row, i))
    }, 0),
  )
  kl.slice(0, 3).forEach((x, i) => expect(report.kl[i]).toBeCloseTo(x, 4))
  expect(report.maxLogitDifference).toBeCloseTo(Math.max(...rows.flatMap((r, t) => Array.from(r, (x, i) => Math.abs(x - source[t][i])))), 4)
})

it('counts what a Spec costs', () => {
  const c = cost(model.spec, variants)
  const stored = [...checkpoint.tensors.values()].reduce((n, t) => n + t.shape.reduce((a, b) => a * b, 1), 0)
  expect(c.parameters).toBe(stored)
  const { kvHeads, headDim } = model.spec.layers[0].attention.config as { kvHeads: number; headDim: number }
  expect(c.kvBytesPerToken).toBe(model.spec.layers.length * 2 * kvHeads * headDim * 4)
})
