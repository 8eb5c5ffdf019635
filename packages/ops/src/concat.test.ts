import { length, read, reference, tensor } from '@attune/tensor'
import { describe, expect, it } from 'vitest'
import { expectGradients } from '../../tensor/test/gradient.ts'
import { concatOf } from './index.ts'

describe('concat', () => {
  it('puts values side by side along the last axis, whatever their strides', async () => {
    const a = tensor([1, 2, 3, 4], [2, 2])
    const b = tensor([5, 6], [1, 2]).transpose()
    expect([...(await read(concatOf(a, b, a.transpose()), reference())).data]).toEqual([1, 2, 5, 1, 3, 3, 4, 6, 2, 4])
  })
  it('leaves out what is empty', () => {
    const a = tensor([1, 2], [1, 2])
    expect(concatOf(a, a.slice(1, 0, 0))).toBe(a)
  })
  it('has gradients', async () => {
    await expectGradients({ inputs: [{ shape: [3, 2, 4] }, { shape: [3, 2, 1] }], f: (a, b) => concatOf(a, b, a) })
  })
  it('refuses what does not fit', () => {
    const a = tensor([1, 2], [1, 2])
    expect(() => concatOf(a, a.transpose())).toThrow('concat of (1, 2) and (2, 1)')
    expect(() => concatOf(a, a.unsqueeze(0))).toThrow('all axes but the last must agree')
    expect(() => concatOf(a.view([length('n', 2), 2], [2, 1]), a)).toThrow('concat of (n≤2, 2) and (1, 2)')
  })
})
