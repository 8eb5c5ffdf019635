import { gqa, mha, mqa } from '@attune/attention-heads'
import { contiguous } from '@attune/cache'
import { reference, topkOf } from '@attune/tensor'
import { floats, openCheckpoint, readSafetensors } from '@attune/weights'
import { diskFolder, fileSource } from '@attune/weights/node'
import { expect, it } from 'vitest'
import { type LayerSpec, lastLogits, modelFrom, type Probe, phi3, Runner, type Sequence, swap } from './index.ts'

/** Sequences of more than 16 positions turn by other frequencies; transformers' logits of the 30 tokens are in variations.test. */
const path = new URL('../test/fixtures/variations/phi3-long', import.meta.url).pathname
const load = async () => {
  const { tensors } = await readSafetensors(await fileSource(`${path}/expected.safetensors`))
  const model = modelFrom(await openCheckpoint(await diskFolder(path)), phi3, new Map([mha, gqa, mqa].map(v => [v.name, v])))
  return { ids: [...(await floats(tensors.get('ids')!))], model }
}
const step = async (runner: Runner, sequence: Sequence, ids: readonly number[], other?: [Sequence, readonly number[]]) => {
  const work = [{ sequence, ids }, ...(other ? [{ sequence: other[0], ids: other[1] }] : [])]
  const { data, shape } = await (await runner.step(work, lastLogits)).read('logits')
  return (data as Float32Array).slice(sequence.row * shape[1], (sequence.row + 1) * shape[1])
}
const apart = (a: Float32Array, b: Float32Array) => a.reduce((m, x, i) => Math.max(m, Math.abs(x - b[i])), 0)

it('goes on beyond an edge as if the sequence had been fed at once, beside a longer one, forked and trimmed', async () => {
  const { ids, model } = await load()
  const runner = new Runner(model, reference(), { chunk: 64 })
  const small = new Runner(model, reference(), { chunk: 7 })
  const whole = async (n: number): Promise<Float32Array> => {
    const own = runner.open()
    const logits = await step(runner, own, ids.slice(0, n))
    runner.close(own)
    return logits
  }
  const wanted = new Map<number, Float32Array>()
  for (const n of [12, 14, 16, 17, 18, 19]) wanted.set(n, await whole(n))
  const [sequence, other] = [runner.open(), runner.open()]
  expect(apart(await step(runner, sequence, ids.slice(0, 12), [other, ids]), wanted.get(12)!)).toBeLessThan(1e-5)
  await step(runner, sequence, ids.slice(12, 14))
  const fork = await runner.fork(sequence)
  await step(runner, sequence, ids.slice(14, 16), [other, [5]])
  expect(apart(await step(runner, sequence, ids.slice(16, 17)), wanted.get(17)!)).toBeLessThan(1e-5)
  expect(apart(await step(runner, sequence, ids.slice(17, 18)), wanted.get(18)!)).toBeLessThan(1e-5)
  runner.trim(sequence, 11)
  expect(apart(await step(runner, sequence, ids.slice(11, 14)), wanted.get(14)!)).toBeLessThan(1e-5)
  expect(apart(await step(runner, fork, ids.slice(14, 19)), wanted.get(19)!)).toBeLessThan(1e-5)
  const pieces = small.open()
  for (const at of [0, 7, 14]) await step(small, pieces, ids.slice(at, Math.min(at + 7, 16)))
  expect(apart(await step(small, pieces, ids.slice(16, 19)), wanted.get(19)!)).toBeLessThan(1e-5)
  await runner.dispose()
  await small.dispose()
})
it('begins anew in a ring that has dropped its first rows', async () => {
  const { ids, model } = await load()
  const near = (layer: LayerSpec): LayerSpec => ({ ...layer, attention: { ...layer.attention, mask: { kind: 'window', size: 5 } } })
  const windowed = { ...model, spec: swap(model.spec, near) }
  const runner = new Runner(windowed, reference(), { chunk: 4 })
  const [sequence, whole] = [runner.open(), new Runner(windowed, reference(), { cache: contiguous() })]
  for (let at = 0; at < 16; at++) await step(runner, sequence, [ids[at]])
  const want = await step(whole, whole.open(), ids.slice(0, 17))
  expect(apart(await step(runner, sequence, [ids[16]]), want)).toBeLessThan(1e-5)
  expect(apart(await step(whole, whole.open(), ids.slice(0, 16)), want)).toBeGreaterThan(1e-3)
  await runner.dispose()
  await whole.dispose()
})
it('says when a sequence whose tokens it does not know would cross an edge', async () => {
  const { ids, model } = await load()
  const runner = new Runner(model, reference())
  const sequence = runner.open()
  await step(runner, sequence, ids.slice(0, 15))
  const { sequence: loaded } = await runner.load(await runner.save(sequence))
  await step(runner, loaded, [ids[15]])
  await expect(step(runner, loaded, [ids[16]])).rejects.toThrow(/more than 16 positions .* first 16 tokens/)
  await runner.dispose()
})
it('knows the token that was drawn in the step before', async () => {
  const { ids, model } = await load()
  const best: Probe = {
    key: 'best',
    build(d, io) {
      const draw = topkOf(d.logits(io.last), 1).indices.reshape([io.tokens.batchRows])
      return { outputs: { ids: draw }, draw }
    },
  }
  const runner = new Runner(model, reference())
  const sequence = runner.open()
  const { data } = await (await runner.step([{ sequence, ids: ids.slice(0, 15) }], best)).read('ids')
  const drawn = [data[0], (await (await runner.step([{ sequence, ids: [-1] }], best)).read('ids')).data[0]]
  const last = await step(runner, sequence, [-1])
  runner.close(sequence)
  expect(apart(last, await step(runner, runner.open(), [...ids.slice(0, 15), ...drawn]))).toBeLessThan(1e-5)
  await runner.dispose()
})
