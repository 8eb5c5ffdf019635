import { matmulOf, type Tensor, tensor } from '@attune/tensor'

/**
 * Turns the last axis, in spans that are turned apart, by Hadamard matrices: each span as the largest powers of two that divide what is
 * left of it, largest first. Orthogonal and its own inverse, so queries and keys keep their products. Every number becomes a mean of
 * many, so none stands out when few bits must hold them all. Sylvester; for attention: https://arxiv.org/abs/2404.00456
 */
export function hadamardTurn(spans: readonly number[]): (x: Tensor) => Tensor {
  const blocks = spans.flatMap(powersOf)
  const matrices = new Map<number, Tensor>()
  return x => {
    const width = x.shape[x.rank - 1] as number
    let m = matrices.get(width)
    // Values may be the first spans of a key.
    if (!m) matrices.set(width, (m = tensor(blockMatrix(blocks, width), [width, width])))
    return matmulOf(x, m)
  }
}

/** 96 → 64, 32. */
function powersOf(span: number): number[] {
  const out: number[] = []
  for (let bit = 2 ** 30; bit >= 1; bit /= 2) if (span & bit) out.push(bit)
  return out
}

function blockMatrix(blocks: readonly number[], width: number): Float32Array {
  const out = new Float32Array(width * width)
  let at = 0
  for (const n of blocks) {
    if (at + n > width) break
    for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) out[(at + i) * width + at + j] = sign(i & j) / Math.sqrt(n)
    at += n
  }
  for (; at < width; at++) out[at * width + at] = 1
  return out
}

const sign = (bits: number): number => {
  let odd = 0
  for (let b = bits; b > 0; b &= b - 1) odd ^= 1
  return odd ? -1 : 1
}
