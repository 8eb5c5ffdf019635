import { allLogits, hiddenStates, lastLogits, type Model, Runner } from '@attune/models'
import type { Device } from '@attune/tensor'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { worst } from './worst.ts'

/** What transformers says of a checkpoint: the fixtures' golden.json and the tensors beside it. */
export interface ModelOracle {
  readonly model: Model
  readonly golden: {
    readonly inputs: Readonly<
      Record<string, { readonly input_ids: number[][]; readonly attention_mask?: number[][]; readonly position_ids?: number[][] }>
    >
    readonly greedy: { readonly ids: number[] }
    readonly logit_absmax_B: number
  }
  tensor(name: string): Promise<Float32Array>
  /** Oracle tensors of the residual stream as `hiddenStates` gives it, where they are not `A.hidden_states.i`; undefined: there is none. */
  readonly hidden?: readonly (string | undefined)[]
}

/** The conformance suite of a model type on a device: logits, hidden states and greedy tokens of transformers, by every road. */
export function testModel(name: string, load: () => Promise<ModelOracle>, open: () => Promise<Device>): void {
  describe(name, () => {
    let device: Device
    let o: ModelOracle
    let tolerance = 0
    beforeAll(async () => {
      device = await open()
      o = await load()
      tolerance = Math.max(2e-4, 3e-5 * o.golden.logit_absmax_B)
    })
    afterAll(() => device.close())

    it('gives the logits and hidden states of transformers', async () => {
      const runner = new Runner(o.model, device)
      for (const key of ['A', 'B']) {
        const s = runner.open()
        const r = await runner.step([{ sequence: s, ids: o.golden.inputs[key].input_ids[0] }], hiddenStates)
        expect(worst((await r.read('logits')).data, await o.tensor(`${key}.logits`))).toBeLessThan(tolerance)
        runner.close(s)
        if (key !== 'A') continue
        for (let i = 0; i <= o.model.spec.layers.length; i++) {
          const name = o.hidden ? o.hidden[i] : `A.hidden_states.${i}`
          if (name) expect(worst((await r.read(`hidden.${i}`)).data, await o.tensor(name))).toBeLessThan(tolerance)
        }
      }
      await runner.dispose()
    })
    it('padded rows of a batch give the logits of their real tokens', async () => {
      const { input_ids, attention_mask, position_ids } = o.golden.inputs.P
      const runner = new Runner(o.model, device)
      const want = await o.tensor('P.logits')
      const { vocab } = o.model.spec
      const real = input_ids.map((row, b) => row.flatMap((_, t) => (attention_mask![b][t] ? [t] : [])))
      const work = input_ids.map((row, b) => ({
        sequence: runner.open(),
        ids: real[b].map(t => row[t]),
        positions: position_ids && real[b].map(t => position_ids[b][t]),
      }))
      const { data } = await (await runner.step(work, allLogits)).read('logits')
      let at = 0
      for (const [b, tokens] of real.entries())
        for (const t of tokens) {
          const from = (b * input_ids[0].length + t) * vocab
          expect(worst(data.subarray(at * vocab, (at + 1) * vocab), want.subarray(from, from + vocab))).toBeLessThan(tolerance)
          at++
        }
      await runner.dispose()
    })
    it('continues greedily as transformers does, beside another sequence', async () => {
      const runner = new Runner(o.model, device)
      const [own, other] = [runner.open(), runner.open()]
      const ids = o.golden.inputs.A.input_ids[0]
      let feed = [
        { sequence: own, ids },
        { sequence: other, ids: o.golden.inputs.B.input_ids[0] },
      ]
      const out: number[] = []
      for (let t = 0; t < o.golden.greedy.ids.length; t++) {
        const { data, shape } = await (await runner.step(feed, lastLogits)).read('logits')
        const row = data.subarray(0, shape[1])
        out.push(row.indexOf(Math.max(...row)))
        feed = [
          { sequence: own, ids: [out[t]] },
          { sequence: other, ids: [ids[t % ids.length]] },
        ]
      }
      expect(out).toEqual(o.golden.greedy.ids)
      await runner.dispose()
    })
    it('chunked = one shot = token by token', async () => {
      const ids = o.golden.inputs.B.input_ids[0]
      const want = await o.tensor('B.logits')
      for (const chunk of [7, 1]) {
        const runner = new Runner(o.model, device, { chunk })
        await runner.feed(runner.open(), ids, allLogits, async (r, from) => {
          const { data } = await r.read('logits')
          expect(worst(data, want.subarray(from * o.model.spec.vocab, from * o.model.spec.vocab + data.length))).toBeLessThan(tolerance)
        })
        await runner.dispose()
      }
    })
  })
}
