import { readFile } from 'node:fs/promises'
import { gqa, mha, mqa } from '@attune/attention-heads'
import { reference } from '@attune/tensor'
import { floats, openCheckpoint } from '@attune/weights'
import { diskFolder } from '@attune/weights/node'
import { describe, expect, it } from 'vitest'
import { allLogits, hiddenStates, lastLogits, llama, modelFrom, Runner } from './index.ts'

const variants = new Map([mha, mqa, gqa].map(v => [v.name, v]))
const device = reference()
const root = new URL('../test/fixtures/', import.meta.url)

async function fixture(name: string) {
  const checkpoint = await openCheckpoint(await diskFolder(new URL(name, root).pathname))
  const golden = JSON.parse(await readFile(new URL(`${name}/golden.json`, root), 'utf8'))
  const oracle = await openGolden(name)
  return {
    checkpoint,
    golden,
    oracle,
    model: modelFrom(checkpoint, llama, variants),
    tolerance: Math.max(2e-4, 3e-5 * golden.logit_absmax_B),
  }
}
async function openGolden(name: string) {
  const { readSafetensors } = await import('@attune/weights')
  const { fileSource } = await import('@attune/weights/node')
  const file = await readSafetensors(await fileSource(new URL(`${name}/golden.safetensors`, root).pathname))
  return async (tensor: string) => floats(file.tensors.get(tensor)!)
}
const worst = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length)
  let w = 0
  for (let i = 0; i < a.length; i++) w = Math.max(w, Number.isNaN(a[i]) ? Infinity : Math.abs(a[i] - b[i]))
  return w
}

describe.each(['llama-gqa-tied', 'llama-untied-bias', 'llama3-rope-mqa'])('%s on the reference device', name => {
  it('gives the logits and hidden states of transformers', async () => {
    const { golden, oracle, model, tolerance } = await fixture(name)
    const runner = new Runner(model, device)
    for (const key of ['A', 'B']) {
      const s = runner.open()
      const r = await runner.step([{ sequence: s, ids: golden.inputs[key].input_ids[0] }], hiddenStates)
      expect(worst((await r.read('logits')).data, await oracle(`${key}.logits`))).toBeLessThan(tolerance)
      runner.close(s)
      if (key !== 'A') continue
      for (let i = 0; i <= model.spec.layers.length; i++)
        expect(worst((await r.read(`hidden.${i}`)).data, await oracle(`A.hidden_states.${i}`))).toBeLessThan(tolerance)
    }
    await runner.dispose()
  })
  it('continues greedily as transformers does, and in a batch of unequal lengths', async () => {
    const { golden, model } = await fixture(name)
    const runner = new Runner(model, device)
    const short = runner.open()
    const other = runner.open()
    const ids: number[] = [...golden.inputs.A.input_ids[0]]
    let feed = [
      { sequence: short, ids },
      { sequence: other, ids: golden.inputs.B.input_ids[0] as number[] },
    ]
    const out: number[] = []
    for (let t = 0; t < 16; t++) {
      const r = await runner.step(feed, lastLogits)
      const { data, shape } = await r.read('logits')
      const row = data.subarray(0, shape[1])
      out.push(row.indexOf(Math.max(...row)))
      feed = [
        { sequence: short, ids: [out[t]] },
        { sequence: other, ids: [golden.inputs.A.input_ids[0][t % 12]] },
      ]
    }
    expect(out).toEqual(golden.greedy.ids)
    await runner.dispose()
  })
  it('chunked = one shot, at padded positions too', async () => {
    const { golden, oracle, model, tolerance } = await fixture(name)
    const runner = new Runner(model, device, { chunk: 7 })
    const s = runner.open()
    const want = await oracle('B.logits')
    await runner.feed(s, golden.inputs.B.input_ids[0], allLogits, async (r, from) => {
      const { data } = await r.read('logits')
      expect(worst(data, want.subarray(from * model.spec.vocab, from * model.spec.vocab + data.length))).toBeLessThan(tolerance)
    })
    await runner.dispose()
  })
})
