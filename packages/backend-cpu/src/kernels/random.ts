import { type Dim, elements, type Kernel, random } from '@attune/tensor'
import { first, times, whyType } from './layout.ts'

/** Philox numbers, the reference's bit for bit. */
export const randomKernel: Kernel<{ shape: readonly Dim[] }> = {
  name: 'random',
  op: random,
  why({ inputs: [key], attrs: { shape } }) {
    return first(
      whyType('the key', key, 'i32'),
      key.contiguous ? undefined : 'the key is a strided view',
      shape.slice(1).every(d => typeof d === 'number')
        ? undefined
        : 'a length stands inside the shape: the numbers would not lie side by side',
    )
  },
  cost: ({ outputs }) => elements(outputs[0].shape),
  plan: ({ attrs: { shape } }) => ({
    launches: [{ text: 'random', bind: [{ input: 0 }, { output: 0 }], params: [times(...shape)] }],
  }),
}
