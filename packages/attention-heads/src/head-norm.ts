import { array, type BoundNorm, type NormParams, type NormSpec, norm, normParams } from '@attune/nn'
import { AttuneError, fill, mapWith, type Tensor } from '@attune/tensor'
import type { GqaConfig } from './gqa.ts'

type HeadNorm = NonNullable<GqaConfig['qkNorm']>

/** What a norm of queries and keys goes over: one head where there is none. */
export const overOf = ({ qkNorm }: Pick<GqaConfig, 'qkNorm'>): 'head' | 'own' | 'all' => qkNorm?.over ?? 'head'

/** Parameters of a norm over (heads, d). */
export function headNormParams(spec: HeadNorm, heads: number, headDim: number): NormParams {
  const { over = 'head' } = spec
  if (over !== 'own') return normParams(spec, over === 'all' ? heads * headDim : headDim)
  if (spec.kind === 'layer' && spec.bias)
    throw new AttuneError('ERR_UNSUPPORTED', 'a norm whose gain is each head’s own has no bias', { qkNorm: spec })
  return array([heads, headDim], { init: unitGain(spec) })
}

/** x (N, heads, d) */
export function headNorm(params: BoundNorm, x: Tensor, spec: HeadNorm): Tensor {
  const { over = 'head' } = spec
  if (over === 'head') return norm(params, x, spec)
  const [n, heads, d] = x.shape as [Tensor['shape'][0], number, number]
  if (over === 'all') return norm(params, x.reshape([n, heads * d]), spec).reshape([n, heads, d])
  const plain = norm(fill(unitGain(spec), [d]), x, spec)
  const offset = 1 - unitGain(spec)
  return mapWith((y, g) => y.mul(offset === 0 ? g : g.add(offset)), [plain, params as Tensor])
}

/** The stored gain that changes nothing. */
const unitGain = (spec: NormSpec): number => (spec.kind === 'rms' ? 1 - (spec.offset ?? 0) : 1)
