import { mapWith, type Tensor } from '@attune/tensor'
import { activation } from './activation.ts'
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

/** Feed-forward block without a gate: down(act(up(x))). Vaswani et al. 2017, https://arxiv.org/abs/1706.03762 */
export interface PlainMlpConfig {
  readonly dim: number
  readonly hidden: number
  readonly bias: boolean
  /** A name of `activations`. */
  readonly activation: string
}
export type PlainMlpParams = Omit<GatedMlpParams, 'gate'>

export const plainMlpParams = ({ dim, hidden, bias }: PlainMlpConfig): PlainMlpParams => ({
  up: linear({ dim }, { hidden }, bias),
  down: linear({ hidden }, { dim }, bias),
})
/** x (N, dim) → (N, dim) */
export const plainMlp = (p: Bound<PlainMlpParams>, x: Tensor, { activation: name }: Pick<PlainMlpConfig, 'activation'>): Tensor =>
  p.down(mapWith(activation(name), [p.up(x)]))
