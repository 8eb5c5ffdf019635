import { type RopeAttrs, rope } from '@attune/ops'
import { elements, f32, type Kernel, rowMajor } from '@attune/tensor'
import { first, whyLastAxis, whyType } from './layout.ts'

/** Angles once per token, then every head. */
export const ropeKernel: Kernel<RopeAttrs> = {
  name: 'rope',
  op: rope,
  why: ({ inputs: [x, positions, frequencies] }) =>
    first(
      whyType('x', x, 'f32'),
      whyLastAxis('x', x),
      whyType('positions', positions, 'i32'),
      whyType('frequencies', frequencies, 'f32'),
      whyLastAxis('frequencies', frequencies),
      x.strides.some(s => s > 2 ** 31 - 1) ? 'x has a stride beyond 2^31 elements' : undefined,
    ),
  cost: ({ inputs }) => elements(inputs[0].shape),
  plan({ inputs: [x, positions, frequencies], attrs: { pairing, factor } }) {
    const out = rowMajor(x.shape)
    const layout = [pairing === 'interleaved' ? 1 : 0, x.strides[0], x.strides[1], out[0], out[1], positions.strides[0]]
    const half = frequencies.shape[0] as number
    return {
      launches: [
        {
          text: 'rope',
          bind: [{ data: Int32Array.from(layout) }, { input: 0 }, { input: 1 }, { input: 2 }, { output: 0 }],
          params: [...x.shape, half, f32(factor)],
          threadScratch: 2 * 4 * (Math.ceil(half / 16) * 16),
        },
      ],
    }
  },
}
