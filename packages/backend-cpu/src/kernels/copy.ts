import { copy, elements, type Kernel } from '@attune/tensor'

/** A dense copy of dense f32. */
export const copyContiguous: Kernel = {
  name: 'copy',
  op: copy,
  why: ({ inputs: [x], outputs: [out] }) =>
    x.dtype !== 'f32' || out.dtype !== 'f32' ? 'copies f32 only' : x.contiguous ? undefined : 'the input is not dense',
  cost: ({ inputs: [x] }) => elements(x.shape),
  plan: ({ inputs: [x] }) => ({
    launches: [{ text: 'copy', bind: [{ input: 0 }, { output: 0 }], params: [elements(x.shape)] }],
  }),
}
