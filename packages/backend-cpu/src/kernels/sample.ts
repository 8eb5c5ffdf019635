import { sample } from '@attune/ops'
import { elements, type Kernel } from '@attune/tensor'
import { first, whyLastAxis, whyType } from './layout.ts'

const NAMES = ['the logits', 'the options', 'the recent tokens', 'the keys']

/** The whole draw of a row in one piece; the row's thresholds are found exactly, by buckets and a heap. */
export const sampleKernel: Kernel<null> = {
  name: 'sample',
  op: sample,
  why: ({ inputs }) => first(...inputs.flatMap((t, i) => [whyType(NAMES[i], t, i < 2 ? 'f32' : 'i32'), whyLastAxis(NAMES[i], t)])),
  cost: ({ inputs }) => elements(inputs[0].shape),
  plan: ({ inputs }) => ({
    launches: [
      {
        text: 'sample',
        bind: [
          { data: Int32Array.from(inputs, t => t.strides[0]) },
          ...inputs.map((_, input) => ({ input })),
          { output: 0 },
          { output: 1 },
        ],
        params: [...inputs[0].shape, inputs[2].shape[1]],
        threadScratch: 3 * 4 * elements(inputs[0].shape.slice(1)),
      },
    ],
  }),
}
