/** States (tokens, dim) → one vector (dim): the first token's, the mean or the maximum of each number; of length 1 where asked. */
export function pooled(states: Float32Array, dim: number, pooling: 'mean' | 'cls' | 'max', normalise: boolean): Float32Array {
  const out = states.slice(0, dim)
  if (pooling !== 'cls') {
    const join = pooling === 'mean' ? (a: number, b: number) => a + b : Math.max
    for (let i = dim; i < states.length; i++) out[i % dim] = join(out[i % dim], states[i])
    if (pooling === 'mean') for (let i = 0; i < dim; i++) out[i] /= states.length / dim
  }
  if (!normalise) return out
  const length = Math.sqrt(out.reduce((n, x) => n + x * x, 0)) || 1
  return out.map(x => x / length)
}
