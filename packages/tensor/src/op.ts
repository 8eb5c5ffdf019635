import type { Dense, Limits, Param } from './device.ts'
import type { Storage } from './dtype.ts'
import type { Dim, LengthValues } from './shape.ts'
import type { Tensor } from './tensor.ts'

/** What is known of a value before it is computed. */
export interface Type {
  readonly dtype: Storage
  readonly shape: readonly Dim[]
}

/** A type with its layout: strides in elements (0 = broadcast). Packed tensors count strides in elements too; their last stride is 1. */
export interface ViewType extends Type {
  readonly strides: readonly number[]
  /** True when strides are row-major without gaps. */
  readonly contiguous: boolean
}

/** An op is its meaning: a shape rule plus a composition of other ops, or, for a primitive, plain loops in JS. */
export interface Op<A = any> {
  readonly name: string
  infer(inputs: readonly Type[], attrs: A): Type[]
  /** The op in terms of other ops. Must give the same values as any kernel, within the kernel's tolerance. */
  compose?(inputs: readonly Tensor[], attrs: A): Tensor[]
  /** A primitive's meaning. Inputs are dense; returns dense outputs of the inferred (resolved) shapes, in input order of `infer`. */
  loops?(
    inputs: readonly Dense[],
    attrs: A,
    outputs: readonly { dtype: Storage; shape: readonly number[] }[],
  ): (Float32Array | Int32Array | Uint8Array)[]
  /** Gradients of the inputs given gradients of the outputs; `undefined` where an input has none. Ops without it differentiate through `compose`. */
  vjp?(inputs: readonly Tensor[], outputs: readonly Tensor[], grads: readonly (Tensor | undefined)[], attrs: A): (Tensor | undefined)[]
  /** `alias[i] = j`: output i is input j updated in place (a state buffer). */
  readonly alias?: readonly (number | undefined)[]
}

export interface Sig<A = any> {
  readonly inputs: readonly ViewType[]
  readonly outputs: readonly Type[]
  readonly attrs: A
}

/** An operand of a planned launch: an input or output of the op, a temporary of the plan, or constant bytes (bytecode, tables). */
export type Bind =
  | { readonly input: number }
  | { readonly output: number }
  | { readonly temp: number }
  | { readonly data: ArrayBufferView }
  | { readonly none: true }

export interface LaunchPlan {
  readonly text: string
  readonly bind: readonly Bind[]
  readonly params: readonly Param[]
  readonly grid?: (n: LengthValues) => readonly [number, number, number]
  readonly threadScratch?: number
}

export interface Plan {
  readonly launches: readonly LaunchPlan[]
  /** Bytes of each temporary, alive from the plan's first to its last launch. */
  readonly temps?: readonly number[]
}

/** Speed for one op on one device. `why`, `cost` and `plan` are pure. */
export interface Kernel<A = any> {
  readonly name: string
  readonly op: Op<A>
  /** The reason for a refusal as a sentence, or undefined when the kernel accepts. */
  why(sig: Sig<A>, limits: Limits): string | undefined
  /** Relative cost; among accepting kernels the lowest wins. */
  cost(sig: Sig<A>): number
  plan(sig: Sig<A>, limits: Limits): Plan
}
