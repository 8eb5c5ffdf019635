import { type Kernel, matmul, type Sig } from '@attune/tensor'
import { denseProduct, type Operands, work } from './matmul-plan.ts'

/**
 * Batched products of dense types, accumulated in f32. The order in which a row is summed does not depend on the number of rows, on
 * the row's place or on threads.
 */
export const matmulDense: Kernel<null> = {
  name: 'matmul',
  op: matmul,
  why(sig) {
    const launch = launchOf(sig)
    return typeof launch === 'string' ? launch : undefined
  },
  cost: ({ inputs: [a], outputs: [out] }) => work(a, out),
  plan(sig) {
    const launch = launchOf(sig)
    return { launches: typeof launch === 'string' ? [] : [launch] }
  },
}

const launchOf = ({ inputs: [a, b], outputs: [out] }: Sig<null>) => {
  const rank = b.shape.length
  const operands: Operands = { a, b, out, bn: b.strides[rank - 1], bk: b.strides[rank - 2], bLead: rank - 2 }
  return denseProduct(operands, [{ input: 0 }, { input: 1 }, { output: 0 }, { none: true }])
}
