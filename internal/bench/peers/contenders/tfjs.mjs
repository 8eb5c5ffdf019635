import * as tf from '@tensorflow/tfjs'
import '@tensorflow/tfjs-backend-wasm'
import { timed } from '../timed.mjs'

/** @param {{ params: Record<string, number> }} asked */
export async function open({ params: { m, n, k } }) {
  await tf.setBackend('wasm')
  const [a, b] = [tf.randomNormal([m, k]), tf.randomNormal([k, n])]
  return {
    about: `tfjs ${tf.version.tfjs} wasm`,
    round: () =>
      timed(() => {
        const out = tf.matMul(a, b)
        out.dataSync()
        out.dispose()
      }),
  }
}
