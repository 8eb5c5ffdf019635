import { Encoder, type EncoderItem, type EncoderModel, encoderStates } from '@attune/models'
import type { Device } from '@attune/tensor'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { poisoned } from './poison.ts'
import { worst } from './worst.ts'

/** What transformers says of an encoder. */
export interface EncoderOracle {
  readonly model: EncoderModel
  /** Batches by name: items, and for each the values of every token or of the head. */
  readonly batches: Readonly<Record<string, readonly EncoderItem[]>>
  /** Largest absolute error. */
  readonly tolerance: number
  /** Hidden states of each layer for the batch `hidden` (tokens, dim), embeddings first. */
  readonly hidden?: { readonly batch: string; readonly states: readonly Float32Array[] }
  /** Values of the head for batches (items, size). */
  readonly heads?: Readonly<Record<string, Float32Array>>
}

/** The conformance suite of an encoder on a device: hidden states and head of transformers; a batch is what its items are alone. */
export function testEncoder(name: string, load: () => Promise<EncoderOracle>, open: () => Promise<Device>): void {
  describe(name, () => {
    let device: Device
    let o: EncoderOracle
    beforeAll(async () => {
      device = await open()
      o = await load()
    })
    afterAll(() => device.close())
    const read = (encoder: Encoder, items: readonly EncoderItem[]) =>
      encoder.run(items, encoderStates, async (r, counts) => {
        const states: Float32Array[] = []
        for (let i = 0; i <= o.model.spec.layers.length; i++) states.push((await r.read(`hidden.${i}`)).data as Float32Array)
        const head = o.model.spec.head ? ((await r.read('head')).data as Float32Array) : undefined
        return { counts, states, final: (await r.read('final')).data as Float32Array, head }
      })

    it('gives the hidden states and the head of transformers', async () => {
      const encoder = new Encoder(o.model, poisoned(device))
      if (o.hidden) {
        const { states } = await read(encoder, o.batches[o.hidden.batch])
        expect(states.length).toBe(o.hidden.states.length)
        for (const [i, want] of o.hidden.states.entries()) expect(worst(states[i], want), `hidden ${i}`).toBeLessThan(o.tolerance)
      }
      for (const [key, want] of Object.entries(o.heads ?? {})) {
        const { head } = await read(encoder, o.batches[key])
        expect(worst(head!.subarray(0, want.length), want), key).toBeLessThan(o.tolerance)
      }
      expect(o.hidden ?? o.heads).toBeDefined()
      await encoder.dispose()
    })
    it('items of a batch, of any lengths, are what they are alone, and orders do not matter', async () => {
      const encoder = new Encoder(o.model, poisoned(device))
      const items = Object.values(o.batches).flat()
      const alone: Float32Array[] = []
      for (const item of items) alone.push((await read(encoder, [item])).final)
      for (const order of [items.map((_, i) => i), items.map((_, i) => i).reverse()]) {
        const { final, counts } = await read(
          encoder,
          order.map(i => items[i]),
        )
        let at = 0
        for (const [n, i] of order.entries()) {
          const size = counts[n] * o.model.spec.dim
          expect(worst(final.subarray(at, (at += size)), alone[i])).toBeLessThan(o.tolerance)
        }
      }
      await encoder.dispose()
    })
    it('is recorded once per size and refuses an empty batch', async () => {
      const encoder = new Encoder(o.model, device)
      const [items] = Object.values(o.batches)
      await encoder.states(items)
      await encoder.states(items)
      expect(encoder.recorded).toBe(1)
      await expect(encoder.states([])).rejects.toMatchObject({ code: 'ERR_ARGUMENT' })
      await encoder.dispose()
    })
  })
}
