import { mha } from '@attune/attention-heads'
import { reference } from '@attune/tensor'
import { openCheckpoint } from '@attune/weights'
import { diskFolder } from '@attune/weights/node'
import { RawImage, Tensor, ViTImageProcessor } from '@huggingface/transformers'
import { expect, it } from 'vitest'
import { Encoder, encoderFrom, encoderItems, vit } from './index.ts'

const path = new URL('../test/fixtures/vit/', import.meta.url).pathname
const open = async () => encoderFrom(await openCheckpoint(await diskFolder(path)), vit, new Map([[mha.name, mha]]))
const side = 32
const picture = (seed: number) =>
  new RawImage(
    Uint8ClampedArray.from({ length: side * side * 3 }, (_, i) => (i * 7919 * seed) % 256),
    side,
    side,
    3,
  )
const processor = new ViTImageProcessor({
  do_resize: true,
  size: { height: side, width: side },
  do_rescale: true,
  rescale_factor: 1 / 255,
  do_normalize: true,
  image_mean: [0.5, 0.4, 0.3],
  image_std: [0.5, 0.25, 0.2],
})
const int64 = (rows: number[][]) => new Tensor('int64', BigInt64Array.from(rows.flat().map(BigInt)), [rows.length, rows[0].length])

it('reads images that its processor prepared, or has it prepare them', async () => {
  const model = await open()
  const pictures = [picture(1), picture(3)]
  const batch = await processor(pictures)
  const items = await encoderItems(batch)
  const [{ image }] = items as [{ image: { data: Float32Array; channels: number; height: number; width: number } }]
  expect(image).toMatchObject({ channels: 3, height: side, width: side })
  const { data } = pictures[0]
  for (const [c, mean, std] of [
    [0, 0.5, 0.5],
    [1, 0.4, 0.25],
    [2, 0.3, 0.2],
  ])
    expect(image.data[c * side * side + 37]).toBeCloseTo((data[37 * 3 + c] / 255 - mean) / std, 5)

  const plain = new Encoder(model, reference())
  const reading = new Encoder(model, reference(), { imageProcessor: processor })
  const states = await plain.states(items)
  expect(await plain.states(batch)).toEqual(states)
  expect(await reading.states(pictures)).toEqual(states)
  expect(states[0]).not.toEqual(states[1])
  await expect(plain.states(pictures)).rejects.toThrow(/only with an image processor/)
  for (const encoder of [plain, reading]) await encoder.dispose()
})

it('reads tokens where there is no padding', async () => {
  const input_ids = int64([
    [5, 6, 7],
    [0, 0, 9],
  ])
  const attention_mask = int64([
    [1, 1, 1],
    [0, 0, 1],
  ])
  expect(await encoderItems({ input_ids, attention_mask })).toEqual([{ ids: [5, 6, 7] }, { ids: [9] }])
  expect(await encoderItems({ input_ids })).toEqual([{ ids: [5, 6, 7] }, { ids: [0, 0, 9] }])
  expect(await encoderItems(['ab'], { tokenizer: { encode: text => [...text].map(c => c.charCodeAt(0)) } })).toEqual([{ ids: [97, 98] }])
  const zero = int64([
    [0, 0, 0],
    [0, 0, 0],
  ])
  expect(await encoderItems({ input_ids, attention_mask, token_type_ids: zero })).toHaveLength(2)
})

it('refuses what it does not read', async () => {
  const input_ids = int64([[5, 6]])

  await expect(encoderItems({ input_ids, attention_mask: int64([[1]]) })).rejects.toThrow(/attention_mask has dims \(1, 1\)/)
  await expect(encoderItems({})).rejects.toThrow(/input_ids/)
  await expect(encoderItems(['text'])).rejects.toThrow(/only with a tokenizer/)
  await expect(encoderItems({ pixel_values: { data: new Float32Array(5), dims: [1, 1, 2, 2] } })).rejects.toThrow(/5 numbers/)
})
