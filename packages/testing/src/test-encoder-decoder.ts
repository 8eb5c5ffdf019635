import { allLogits, Encoder, encoderOf, hiddenStates, lastLogits, type Model, Runner, type Sequence } from '@attune/models'
import type { Device } from '@attune/tensor'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { poisoned } from './poison.ts'
import { testEncoder } from './test-encoder.ts'
import { worst } from './worst.ts'

/** What transformers says of an encoder-decoder: the fixtures' golden.json and the tensors beside it. */
export interface EncoderDecoderOracle {
  readonly model: Model
  readonly golden: {
    readonly inputs: Readonly<
      Record<string, { readonly input_ids: number[][]; readonly decoder_input_ids: number[][]; readonly attention_mask?: number[][] }>
    >
    readonly greedy: { readonly ids: number[] }
    readonly logit_absmax_B: number
  }
  tensor(name: string): Promise<Float32Array>
}

/**
 * The conformance suite of an encoder-decoder on a device: its encoder (`testEncoder`), logits, decoder hidden states and greedy tokens of
 * transformers, by every road; memories of unlike lengths side by side, forked and replaced.
 */
export function testEncoderDecoder(name: string, load: () => Promise<EncoderDecoderOracle>, open: () => Promise<Device>): void {
  const toleranceOf = ({ golden }: EncoderDecoderOracle) => Math.max(2e-4, 3e-5 * golden.logit_absmax_B)
  testEncoder(
    `${name}, encoder`,
    async () => {
      const o = await load()
      const model = encoderOf(o.model)
      return {
        model,
        tolerance: toleranceOf(o),
        batches: Object.fromEntries(Object.entries(o.golden.inputs).map(([key, x]) => [key, realItems(x)])),
        hidden: {
          batch: 'A',
          states: await Promise.all(
            Array.from({ length: model.spec.layers.length + 1 }, (_, i) => o.tensor(`A.encoder_hidden_states.${i}`)),
          ),
        },
      }
    },
    open,
  )
  describe(name, () => {
    let device: Device
    let o: EncoderDecoderOracle
    let encoder: Encoder
    let tolerance = 0
    beforeAll(async () => {
      device = await open()
      o = await load()
      encoder = new Encoder(encoderOf(o.model), device)
      tolerance = toleranceOf(o)
    })
    afterAll(async () => {
      await encoder.dispose()
      await device.close()
    })
    const sequences = async (runner: Runner, key: string): Promise<Sequence[]> => {
      const memories = await encoder.states(realItems(o.golden.inputs[key]))
      const all: Sequence[] = []
      for (const memory of memories) {
        all.push(runner.open())
        await runner.remember(all[all.length - 1], memory, encoder.model.spec.dim)
      }
      return all
    }
    const ids = (key: string) => o.golden.inputs[key].decoder_input_ids

    it('gives the logits and hidden states of transformers', async () => {
      const runner = new Runner(o.model, poisoned(device))
      for (const key of ['A', 'B']) {
        const [sequence] = await sequences(runner, key)
        const r = await runner.step([{ sequence, ids: ids(key)[0] }], hiddenStates)
        expect(worst((await r.read('logits')).data, await o.tensor(`${key}.logits`))).toBeLessThan(tolerance)
        runner.close(sequence)
        if (key !== 'A') continue
        const blocks = o.model.spec.layers.length / (o.model.spec.layersPerBlock ?? 1)
        for (let i = 0; i <= blocks; i++)
          expect(worst((await r.read(`hidden.${i}`)).data, await o.tensor(`A.decoder_hidden_states.${i}`))).toBeLessThan(tolerance)
      }
      await runner.dispose()
    })
    it('padded inputs of a batch give the logits of their real tokens', async () => {
      const runner = new Runner(o.model, poisoned(device))
      const all = await sequences(runner, 'P')
      const { data } = await (
        await runner.step(
          all.map((sequence, b) => ({ sequence, ids: ids('P')[b] })),
          allLogits,
        )
      ).read('logits')
      expect(worst(data, await o.tensor('P.logits'))).toBeLessThan(tolerance)
      await runner.dispose()
    })
    it('continues greedily as transformers does, beside another sequence', async () => {
      const runner = new Runner(o.model, device)
      const [[own], [other]] = [await sequences(runner, 'A'), await sequences(runner, 'B')]
      let next = o.model.spec.encoder!.start
      const out: number[] = []
      for (let t = 0; t < o.golden.greedy.ids.length; t++) {
        const feed = [
          { sequence: own, ids: [next] },
          { sequence: other, ids: [ids('B')[0][t]] },
        ]
        const { data, shape } = await (await runner.step(feed, lastLogits)).read('logits')
        const row = data.subarray(0, shape[1])
        out.push((next = row.indexOf(Math.max(...row))))
      }
      expect(out).toEqual(o.golden.greedy.ids)
      await runner.dispose()
    })
    it('chunked = one shot = token by token; a fork and a trimmed sequence keep their memory; a new memory takes the place of the old', async () => {
      const want = await o.tensor('B.logits')
      const { vocab } = o.model.spec
      for (const chunk of [7, 1]) {
        const runner = new Runner(o.model, poisoned(device), { chunk })
        // A memory that is shorter, then the right one.
        const [[old], [right]] = [await sequences(runner, 'A'), await sequences(runner, 'B')]
        runner.close(right)
        const [memory] = await encoder.states(realItems(o.golden.inputs.B))
        await runner.remember(old, memory, encoder.model.spec.dim)
        const check = async (sequence: Sequence, from: number) =>
          runner.feed(sequence, ids('B')[0].slice(from), allLogits, async (r, at) => {
            const { data } = await r.read('logits')
            expect(worst(data, want.subarray((from + at) * vocab, (from + at) * vocab + data.length))).toBeLessThan(tolerance)
          })
        await check(old, 0)
        const copy = await runner.fork(old)
        runner.close(old)
        runner.trim(copy, 3)
        await check(copy, 3)
        await runner.dispose()
      }
    })
    it('a sequence without a memory is refused', async () => {
      const runner = new Runner(o.model, device)
      const sequence = runner.open()
      await expect(runner.step([{ sequence, ids: [0] }], lastLogits)).rejects.toMatchObject({ code: 'ERR_ARGUMENT' })
      await expect(runner.remember(sequence, new Float32Array(0), encoder.model.spec.dim)).rejects.toMatchObject({ code: 'ERR_SHAPE' })
      await runner.dispose()
    })
  })
}

/** Real tokens of each row. */
const realItems = ({ input_ids, attention_mask }: EncoderDecoderOracle['golden']['inputs'][string]) =>
  input_ids.map((row, b) => ({ ids: row.filter((_, t) => attention_mask?.[b][t] ?? 1) }))
