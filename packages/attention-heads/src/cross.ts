import { attend, defineAttention, rows } from '@attune/attention'
import { linear } from '@attune/nn'

export interface CrossConfig {
  readonly dim: number
  /** Width of the encoder's output; `dim` by default. */
  readonly memoryDim?: number
  readonly heads: number
  /** Key-value heads; one per query head by default. */
  readonly kvHeads?: number
  readonly headDim: number
  /** Biases on q, k and v. */
  readonly bias?: boolean
  readonly outBias?: boolean
  /** Factor on q · k; 1 / √headDim by default. */
  readonly scale?: number
}

/** Attention of a decoder's tokens to an encoder's output, whose keys and values are made once. Vaswani et al. 2017, https://arxiv.org/abs/1706.03762 */
export const cross = defineAttention('cross', {
  title: 'Cross-attention',
  paper: 'https://arxiv.org/abs/1706.03762',
  family: 'heads',
  oracle: 'transformers: logits of a tiny T5 checkpoint',
  params: ({ dim, memoryDim = dim, heads, kvHeads = heads, headDim, bias = false, outBias = false }: CrossConfig) => ({
    q: linear({ dim }, { h: heads, d: headDim }, bias),
    k: linear({ dim: memoryDim }, { h: kvHeads, d: headDim }, bias),
    v: linear({ dim: memoryDim }, { h: kvHeads, d: headDim }, bias),
    o: linear({ h: heads, d: headDim }, { dim }, outBias),
  }),
  state: ({ heads, kvHeads = heads, headDim }) => ({
    k: rows(kvHeads, headDim, { axis: 'memory' }),
    v: rows(kvHeads, headDim, { axis: 'memory' }),
  }),
  remember: ({ memory, params: p }) => ({ k: p.k(memory), v: p.v(memory) }), // (M, kvHeads, d)
  forward: ({ x, params: p, state, mask, score, config }) => p.o(attend(p.q(x), state.memory(), { mask, score, scale: config.scale }).out),
})
