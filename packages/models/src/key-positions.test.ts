import { type GqaConfig, gqa } from '@attune/attention-heads'
import { contiguous, quantised } from '@attune/cache'
import { reference } from '@attune/tensor'
import { nmse, tinyModel, tokens } from '@attune/testing'
import { expect, it } from 'vitest'
import { lastLogits } from './probes.ts'
import { Runner } from './runner.ts'

const config: GqaConfig = { dim: 16, heads: 2, kvHeads: 1, headDim: 8 }
// Scores fall with the distance of positions.
const model = tinyModel(gqa, { ...config }, { layers: 2, position: { kind: 'alibi', slopes: [0.02, 0.05] } })

it.each([contiguous(), quantised({ bits: 8, group: 8 })])('keeps the positions of keys while a $name cache grows', async cache => {
  const ids = tokens(150)
  const positions = ids.map((_, i) => 3 * i + (i % 5))
  const run = async (pieces: readonly number[], at = positions) => {
    const runner = new Runner(model, reference(), { cache, chunk: 150 })
    const sequence = runner.open()
    let from = 0
    for (const n of pieces.slice(0, -1)) {
      await runner.feed(sequence, ids.slice(from, from + n), lastLogits, undefined, { positions: at.slice(from, from + n) })
      from += n
    }
    const step = await runner.step([{ sequence, ids: ids.slice(from), positions: at.slice(from) }], lastLogits)
    return (await step.read('logits')).data as Float32Array
  }
  const whole = await run([150])
  expect(nmse(await run([100, 20, 20, 10]), whole)).toBeLessThan(1e-9)
  expect(nmse(await run([150], ids.map((_, i) => i)), whole)).toBeGreaterThan(1e-6) // biome-ignore format: one line
})
