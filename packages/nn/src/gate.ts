import type { Expr } from '@attune/expr'
import { activation } from './activation.ts'

/**
 * How the gate of a gated block acts on its other half. A name of `activations`: act(gate) · up. Or gpt_oss's clamped form:
 * min(gate, limit) · sigmoid(alpha · min(gate, limit)) · (clamp(up, ±limit) + 1).
 */
export type GateSpec = string | { readonly kind: 'clamped'; readonly alpha: number; readonly limit: number }

export function gateOf(spec: GateSpec): (gate: Expr, up: Expr) => Expr {
  if (typeof spec === 'string') {
    const act = activation(spec)
    return (gate, up) => act(gate).mul(up)
  }
  const { alpha, limit } = spec
  return (gate, up) => {
    const g = gate.min(limit)
    return up
      .min(limit)
      .max(-limit)
      .add(1)
      .mul(g.mul(g.mul(alpha).sigmoid()))
  }
}
