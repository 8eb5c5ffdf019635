import { linear } from '@attune/ops'
import type { Bind, Kernel, Sig } from '@attune/tensor'
import { denseProduct, type Operands, work } from './matmul-plan.ts'

/** Linear with f32, f16 or bf16 weights where they lie, accumulated in f32; a row's result does not depend on its companions. */
export const linearDense: Kernel<null> = {
  name: 'linear',
  op: linear,
  why(sig) {
    const launch = launchOf(sig)
    return typeof launch === 'string' ? launch : undefined
  },
  cost: ({ inputs: [x], outputs: [out] }) => work(x, out),
  plan(sig) {
    const launch = launchOf(sig)
    return { launches: typeof launch === 'string' ? [] : [launch] }
  },
}

const launchOf = (sig: Sig<null>) =>
  biasRefusal(sig) ?? denseProduct(linearOperands(sig), [{ input: 0 }, { input: 1 }, { output: 0 }, biasOf(sig)])

export const linearOperands = ({ inputs: [a, b], outputs: [out] }: Sig<null>): Operands => ({
  a,
  b,
  out,
  bn: b.strides[0],
  bk: b.strides[1],
  bLead: 0,
})
export const biasOf = ({ inputs }: Sig<null>): Bind => (inputs.length > 2 ? { input: 2 } : { none: true })
export function biasRefusal({ inputs: [, , bias] }: Sig<null>): string | undefined {
  if (!bias || (bias.dtype === 'f32' && bias.contiguous)) return undefined
  return 'the bias is not dense f32'
}
