import { AttuneError, type Expr } from '@attune/expr'
import type { Bound, ParamTree } from '@attune/nn'
import type { Position } from '@attune/position'
import type { Tensor } from '@attune/tensor'
import type { About } from './about.ts'
import type { Bridge } from './bridge.ts'
import type { StateSpec, StateView } from './state.ts'

/** What a variant computes from, for the N tokens of one step. */
export interface ForwardContext<P extends ParamTree, C> {
  /** Layer input (N, dim) f32 */
  readonly x: Tensor
  readonly params: Bound<P>
  readonly position: Position
  readonly state: StateView
  /** What a query may see. Always given: there is no way to lose a mask by omission. */
  readonly mask: Expr
  /** Change of the score that the layer asks for (soft-cap, bias). */
  readonly score?: Expr
  readonly config: C
}

/** What a variant computes the rows of its memory axis from. */
export interface MemoryContext<P extends ParamTree, C> {
  /** Encoder output (M, dim) f32 */
  readonly memory: Tensor
  readonly params: Bound<P>
  readonly config: C
}

/** An attention variant, declared once: parameters, what it remembers, and how it mixes. */
export interface Variant<C = any, P extends ParamTree = any> {
  readonly name: string
  readonly abi: 1
  readonly about: About
  params(config: C): P
  state(config: C): StateSpec
  /** (N, dim) → (N, dim) */
  forward(context: ForwardContext<P, C>): Tensor
  /** Rows of the parts on the memory axis, each (M, heads, width), computed once per encoder input. */
  remember?(context: MemoryContext<P, C>): Readonly<Record<string, Tensor>>
  /** "With this config I equal that variant": proved numerically by the suite. */
  readonly limits: readonly (readonly [config: C, equals: Variant, as: any])[]
  /** Conversions from other variants to this one or from this one to others. */
  readonly bridges: readonly Bridge[]
}

const MARK = Symbol.for('attune.attention')

export interface VariantParts<C, P extends ParamTree> extends About {
  params(config: C): P
  state(config: C): StateSpec
  forward(context: ForwardContext<P, C>): Tensor
  remember?(context: MemoryContext<P, C>): Readonly<Record<string, Tensor>>
  readonly limits?: Variant<C, P>['limits']
  readonly bridges?: readonly Bridge[]
}

export function defineAttention<C, P extends ParamTree>(name: string, parts: VariantParts<C, P>): Variant<C, P> {
  if (!/^[a-z0-9]+(?:[-/][a-z0-9]+)*$/.test(name))
    throw new AttuneError('ERR_ARGUMENT', `'${name}' is not a variant name: use lower-case words joined by '-' or one 'scope/'`, { name })
  const { title, paper, family, oracle, limits = [], bridges = [], ...stages } = parts
  return Object.freeze({ [MARK]: true, abi: 1 as const, name, about: { title, paper, family, oracle }, ...stages, limits, bridges })
}

/** True for variants of any copy of this package. */
export const isVariant = (x: unknown): x is Variant => typeof x === 'object' && x !== null && (x as Record<symbol, unknown>)[MARK] === true
