import { linear } from '@attune/ops'
import { elements, isCodec, type Kernel, type LaunchPlan, q4_0, q4_1, q8_0, type Sig, sameStorage, storageName } from '@attune/tensor'
import { biasOf, biasRefusal, linearOperands } from './linear.ts'
import { productParams, work } from './matmul-plan.ts'

/** Codecs native/quant.h reads; each has a kernel `linear_<name>`. */
const codecs = [q4_0, q4_1, q8_0]
/** Bytes of a block of 32 quantised activations (native/quant.h), and of a block of 16 weight rows laid out in scratch. */
const activationBytes = 76
const weightBytes = 640

/**
 * Linear with packed weights, read where they lie. Activations are rounded to 16 bits per block of 32 (scale max|x| / 32258), products of a
 * block are exact, blocks are added in f32 in order: a row's result does not depend on its companions or on threads.
 */
export const linearPacked: Kernel<null> = {
  name: 'linear-packed',
  op: linear,
  why(sig) {
    const [x, w] = sig.inputs
    if (x.dtype !== 'f32') return `the activations are ${storageName(x.dtype)}; this kernel reads f32`
    if (!codecs.some(c => sameStorage(c, w.dtype)))
      return `the weight is ${storageName(w.dtype)}; this kernel reads ${codecs.map(c => c.name).join(', ')}`
    if (typeof w.shape[1] !== 'number' || w.strides[1] !== 1 || w.strides[0] % 32 !== 0)
      return 'the rows of the weight are not whole blocks'
    if (x.strides.at(-1) !== 1) return 'the rows of the activations are not dense'
    return biasRefusal(sig)
  },
  // A quarter of the multiply-adds: integers are that much faster than floats, and decoding the weight first is slower still.
  cost: ({ inputs: [x], outputs: [out] }) => work(x, out) / 4,
  plan(sig) {
    const [x, w] = sig.inputs
    const rows = elements(x.shape.slice(0, -1))
    const blocks = blocksOf(sig)
    const params = productParams(linearOperands(sig))
    const quantise: LaunchPlan = { text: 'quantise_rows', bind: [{ input: 0 }, { temp: 0 }], params }
    const multiply: LaunchPlan = {
      text: `linear_${storageName(w.dtype)}`,
      bind: [{ input: 0 }, { input: 1 }, { output: 0 }, biasOf(sig), rows === 1 ? { none: true } : { temp: 0 }],
      params,
      threadScratch: blocks * weightBytes,
    }
    return rows === 1 ? { launches: [multiply] } : { launches: [quantise, multiply], temps: [rows * blocks * activationBytes] }
  },
}

function blocksOf({ inputs: [, w] }: Sig<null>): number {
  const [k] = w.shape.slice(1)
  return isCodec(w.dtype) ? (k as number) / w.dtype.block : 0
}
