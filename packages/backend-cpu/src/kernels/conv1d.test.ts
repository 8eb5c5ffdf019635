import { length } from '@attune/tensor'
import { it } from 'vitest'
import { expectReference, f32s, i32s, numbers, onEveryBuild, stored } from '../../test/against-reference.ts'
import { conv1dKernel } from './conv1d.ts'

const names = ['x', 'weight', 'tail', 'offsets', 'bias'] as const
const close = { relative: 1e-6 }

onEveryBuild(open => {
  it.each([0, 1, 2, 63, 64, 65])('convolves %i tokens of three rows', async tokens => {
    const device = await open()
    const n = length('n', 70)
    const [first, second] = [Math.min(tokens, 2), Math.max(Math.min(tokens, 2), tokens - 20)]
    const offsets = i32s([4], [0, first, second, tokens])
    for (const [channels, taps] of [
      [1, 2],
      [33, 4],
      [160, 3],
    ]) {
      const x = { ...f32s([70, channels]), shape: [n, channels] }
      const weight = f32s([channels, taps], 2)
      const tail = f32s([3, taps - 1, channels], 3)
      const bias = f32s([channels], 4)
      const lengths = new Map([[n, tokens]])
      await expectReference(device, conv1dKernel, { inputs: [x, weight, tail, offsets, bias], attrs: { names }, lengths }, close)
      await expectReference(
        device,
        conv1dKernel,
        { inputs: [x, weight, tail, offsets], attrs: { names: names.slice(0, 4) }, lengths },
        close,
      )
    }
  })
  it('takes halves, strided views and a Length of rows', async () => {
    const device = await open()
    const b = length('b', 2)
    const tail = { ...(await stored('f16', [2, 3, 40], numbers(240))), shape: [b, 3, 40] }
    const weight = { ...(await stored('bf16', [4, 40], numbers(160))), shape: [40, 4], strides: [1, 40] }
    const x = { ...f32s([9, 50]), shape: [9, 40], strides: [50, 1], offset: 5 }
    for (const rows of [1, 2]) {
      const offsets = i32s([3], rows === 1 ? [0, 9, 9] : [0, 4, 9])
      const test = { inputs: [x, weight, tail, offsets], attrs: { names: names.slice(0, 4) }, lengths: new Map([[b, rows]]) }
      await expectReference(device, conv1dKernel, test, close)
    }
  })
})
