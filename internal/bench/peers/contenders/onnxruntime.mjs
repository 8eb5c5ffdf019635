// onnxruntime-node on a graph of one MatMul, written here byte by byte: the protobuf of a model is a few nested fields.
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { matmulModel } from '../onnx.mjs'
import { timed } from '../timed.mjs'

/** @param {{ threads: number, params: Record<string, number> }} asked */
export async function open({ threads, params: { m, n, k } }) {
  const session = await InferenceSession.create(matmulModel(m, n, k), { intraOpNumThreads: threads, interOpNumThreads: 1 })
  const tensor = (/** @type {number} */ r, /** @type {number} */ c) =>
    new Tensor(
      'float32',
      Float32Array.from({ length: r * c }, (_, i) => Math.sin(i)),
      [r, c],
    )
  const feeds = { a: tensor(m, k), b: tensor(k, n) }
  return { about: 'onnxruntime-node 1.30.0', round: () => timed(() => session.run(feeds)) }
}
