import { mapWith, type Tensor } from '@attune/tensor'
import { activation } from './activation.ts'
import { type Bound, type LinearSpec, linear } from './params.ts'

/** Gated feed-forward block: down(act(gate(x)) · up(x)). Shazeer 2020, https://arxiv.org/abs/2002.05202 */
export interface GatedMlpConfig {
  readonly dim: number
  readonly hidden: number
  readonly bias: boolean
  /** A name of `activations`. */
  readonly activation: string
}
type GatedMlpParams = { readonly gate: LinearSpec; readonly up: LinearSpec; readonly down: LinearSpec }

export const gatedMlpParams = ({ dim, hidden, bias }: GatedMlpConfig): GatedMlpParams => ({
  gate: linear({ dim }, { hidden }, bias),
  up: linear({ dim }, { hidden }, bias),
  down: linear({ hidden }, { dim }, bias),
})
/** x (N, dim) → (N, dim) */
export const gatedMlp = (p: Bound<GatedMlpParams>, x: Tensor, { activation: name }: GatedMlpConfig): Tensor =>
  p.down(mapWith((g, u) => activation(name)(g).mul(u), [p.gate(x), p.up(x)]))
