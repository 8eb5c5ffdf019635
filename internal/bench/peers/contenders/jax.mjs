import { defaultDevice, init, numpy as np } from '@jax-js/jax'
import { timed } from '../timed.mjs'

/** @param {{ params: Record<string, number> }} asked */
export async function open({ params: { m, n, k } }) {
  await init('wasm')
  defaultDevice('wasm')
  const [a, b] = [np.ones([m, k]), np.ones([k, n])]
  return {
    about: 'jax-js wasm',
    round: () => timed(() => np.matmul(a.ref, b.ref).data()),
  }
}
