import { table, variable } from '@attune/expr'
import { matmulExpertsOf, softmaxOf } from '@attune/ops'
import { mapWith, max, sum, type Tensor, topkOf } from '@attune/tensor'
import { type GateSpec, gateOf } from './gate.ts'
import { type GatedMlpParams, gatedMlp, gatedMlpParams } from './mlp.ts'
import { type ArraySpec, array, type Bound, type LinearSpec, linear, type VectorSpec, vector } from './params.ts'

/** How a token's experts are chosen and weighed. */
export interface RouterSpec {
  readonly experts: number
  readonly perToken: number
  /** Softmax over all experts, or each expert's own sigmoid. */
  readonly scoring: 'softmax' | 'sigmoid'
  /** Divides the chosen experts' weights by their sum; after softmax scores that is a softmax over the chosen logits. */
  readonly normalise: boolean
  /** Multiplies the weights. */
  readonly scale?: number
  readonly bias?: boolean
  /** A learned number per expert is added to its score for the choice alone, not for the weight. https://arxiv.org/abs/2408.15664 */
  readonly correction?: boolean
  /** Only experts of the best `chosen` of `count` equal groups take part; a group's score is its best expert's, or its two best experts' sum. */
  readonly groups?: { readonly count: number; readonly chosen: number; readonly by: 'max' | 'top2' }
}

/** A mixture of gated feed-forward blocks: each token runs through a few experts. Shazeer et al. 2017, https://arxiv.org/abs/1701.06538 */
export interface MoeConfig {
  readonly dim: number
  /** Width of each expert. */
  readonly hidden: number
  readonly activation: GateSpec
  readonly router: RouterSpec
  /** Biases on the experts. */
  readonly bias?: boolean
  /** A block that every token runs through, by a sigmoid gate of its own where `gated`. */
  readonly shared?: { readonly hidden: number; readonly bias?: boolean; readonly gated?: boolean }
}

interface ExpertParams {
  readonly [name: string]: ArraySpec
  /** (E, hidden, dim) */
  readonly gate: ArraySpec
  readonly up: ArraySpec
  /** (E, dim, hidden) */
  readonly down: ArraySpec
}
export interface MoeParams {
  readonly [name: string]: any
  readonly router: LinearSpec
  /** (E) */
  readonly correction: VectorSpec
  readonly experts: ExpertParams
  readonly shared: GatedMlpParams
  readonly sharedGate: LinearSpec
}

/** Parameters; those the config does not ask for are absent. Biases of experts are `gateBias`, `upBias` and `downBias`. */
export function moeParams({ dim, hidden, router, bias, shared }: MoeConfig): MoeParams {
  const { experts } = router
  const matrix = (out: number, width: number): ArraySpec => array([experts, out, width], { spread: 1 / Math.sqrt(width) })
  const biases = { gateBias: array([experts, hidden]), upBias: array([experts, hidden]), downBias: array([experts, dim]) }
  return {
    router: linear({ dim }, { e: experts }, router.bias),
    ...(router.correction ? { correction: vector(experts, 0) } : {}),
    experts: { gate: matrix(hidden, dim), up: matrix(hidden, dim), down: matrix(dim, hidden), ...(bias ? biases : {}) },
    ...(shared ? { shared: gatedMlpParams({ dim, hidden: shared.hidden, bias: shared.bias ?? false, activation: '' }) } : {}),
    ...(shared?.gated ? { sharedGate: linear({ dim }, { g: 1 }) } : {}),
  } as MoeParams
}

/** x (N, dim) → (N, dim) */
export function moe(p: Bound<MoeParams>, x: Tensor, { router, activation, shared }: Omit<MoeConfig, 'dim'>): Tensor {
  const { experts: routes, weights } = route(p.router(x), router, p.correction)
  const { gate, up, down, gateBias, upBias, downBias } = p.experts as Readonly<Record<string, Tensor>>
  const hidden = mapWith(gateOf(activation), [
    matmulExpertsOf({ x, weight: gate, routes, bias: gateBias }),
    matmulExpertsOf({ x, weight: up, routes, bias: upBias }),
  ]) // (N, K, hidden)
  const each = matmulExpertsOf({ x: hidden, weight: down, routes, bias: downBias }) // (N, K, dim)
  const mixed = sum(
    mapWith((y, w) => y.mul(w), [each, weights.unsqueeze(2)]),
    1,
  )
  if (!shared) return mixed
  const common = gatedMlp(p.shared, x, { activation })
  return shared.gated
    ? mapWith((y, c, g) => y.add(c.mul(g.sigmoid())), [mixed, common, p.sharedGate(x)])
    : mapWith((y, c) => y.add(c), [mixed, common])
}

export interface Routes {
  /** Chosen experts, best first (N, K) i32. */
  readonly experts: Tensor
  /** Their weights (N, K). */
  readonly weights: Tensor
}

/** Chooses each token's experts from the router's logits (N, E); `correction` (E) takes part in the choice alone. */
export function route(logits: Tensor, spec: RouterSpec, correction?: Tensor): Routes {
  const scores = spec.scoring === 'softmax' ? softmaxOf(logits) : mapWith(z => z.sigmoid(), [logits])
  const worth = correction ? mapWith((s, c) => s.add(c), [scores, correction]) : scores
  const { values, indices } = topkOf(spec.groups ? inBestGroups(worth, spec.groups) : worth, spec.perToken)
  const own = correction ? mapWith(e => table(scores, { dtype: 'f32', rank: 2 }).at(variable('i0', 'i32'), e), [indices]) : values
  const share = spec.normalise ? mapWith((w, total) => w.div(total.add(1e-20)), [own, sum(own, 1, true)]) : own
  const { scale = 1 } = spec
  return { experts: indices, weights: scale === 1 ? share : mapWith(w => w.mul(scale), [share]) }
}

/** Scores (N, E) with those of other groups far below all. */
function inBestGroups(scores: Tensor, { count, chosen, by }: NonNullable<RouterSpec['groups']>): Tensor {
  const [n, experts] = scores.shape
  const size = (experts as number) / count
  const grouped = scores.reshape([n, count, size])
  const best = topkOf(by === 'max' ? max(grouped, 2) : sum(topkOf(grouped, 2).values, 2), chosen).indices // (N, chosen)
  const [row, own] = [variable('i0', 'i32'), variable('i1', 'i32').idiv(size)]
  const among = Array.from({ length: chosen }, (_, j) => table(best, { dtype: 'i32', rank: 2 }).at(row, j).eq(own))
  return mapWith(s => among.reduce((a, b) => a.or(b)).select(s, -3.4e38), [scores])
}
