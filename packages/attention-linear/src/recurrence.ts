import { causal, type StateView } from '@attune/attention'
import type { Expr } from '@attune/expr'
import { type ScanOperands, type ScanOptions, scanOf } from '@attune/ops'
import { AttuneError, type Tensor } from '@attune/tensor'

/** `scan` over this step's tokens, continued from the fold `name`: (N, H, dV). */
export function recur(
  state: StateView,
  operands: Omit<ScanOperands, 'initial' | 'offsets'>,
  options: ScanOptions & { readonly name?: string } = {},
): Tensor {
  const { name = 's', ...rest } = options
  const { out, state: next } = scanOf({ ...operands, initial: state.read(name), offsets: state.tokens.offsets }, rest)
  state.write(name, next)
  return out
}

/** A state that sums all of the past cannot leave any of it out. Errors: `ERR_UNSUPPORTED` unless the mask is causal and scores are plain. */
export function wholePast(variant: string, { mask, score }: { mask: Expr; score?: Expr }): void {
  if (mask !== causal || score)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${variant} folds all of the past into one state: ${score ? 'it has no scores to change' : 'its mask must be causal'}`,
      { variant },
    )
}
