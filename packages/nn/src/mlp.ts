import { mapWith, type Tensor } from '@attune/tensor'
import { type GateSpec, gateOf } from './gate.ts'
import { type Bound, type LinearSpec, linear } from './params.ts'

/** Gated feed-forward block: down(act(gate(x)) · up(x)). Shazeer 2020, https://arxiv.org/abs/2002.05202 */
export interface GatedMlpConfig {
  readonly dim: number
  readonly hidden: number
  readonly bias: boolean
  readonly activation: GateSpec
}
export type GatedMlpParams = { readonly gate: LinearSpec; readonly up: LinearSpec; readonly down: LinearSpec }

export const gatedMlpParams = ({ dim, hidden, bias }: GatedMlpConfig): GatedMlpParams => ({
  gate: linear({ dim }, { hidden }, bias),
  up: linear({ dim }, { hidden }, bias),
  down: linear({ hidden }, { dim }, bias),
})
/** x (N, dim) → (N, dim) */
export const gatedMlp = (p: Bound<GatedMlpParams>, x: Tensor, { activation }: Pick<GatedMlpConfig, 'activation'>): Tensor =>
  p.down(mapWith(gateOf(activation), [p.gate(x), p.up(x)]))
