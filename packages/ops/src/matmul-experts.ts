import { AttuneError, variable } from '@attune/expr'
import { call1, copyOf, mapWith, matmulOf, type Op, sameDim, showShape, sum, type Tensor, type Type } from '@attune/tensor'

/** Operands of `matmulExperts`, by name. N = tokens, K = experts per token, E = experts. */
export interface MatmulExpertsOperands<T = Tensor> {
  /** One row per token (N, in), or one per token and route (N, K, in), f32. */
  readonly x: T
  /** A matrix per expert (E, out, in): f32 | f16 | bf16 | packed along `in`. */
  readonly weight: T
  /** Expert of each token's k-th place (N, K) i32. A negative one gives zeros. */
  readonly routes: T
  /** Added to an expert's results (E, out). */
  readonly bias?: T
}
export interface MatmulExpertsAttrs {
  /** Names of the inputs, in order. */
  readonly names: readonly (keyof MatmulExpertsOperands)[]
}

/**
 * Each token by the matrices of its own experts: out[n, k] = weight[routes[n, k]] · x[n] (or x[n, k]) + bias[routes[n, k]], (N, K, out)
 * f32. Both halves of an expert block are this op: (N, dim) → (N, K, hidden) and (N, K, hidden) → (N, K, dim). Shazeer et al. 2017,
 * https://arxiv.org/abs/1701.06538
 */
export const matmulExperts: Op<MatmulExpertsAttrs> = {
  name: 'matmulExperts',
  infer(inputs, attrs) {
    const { x, weight, routes, bias } = matmulExpertsOperands<Type>(inputs, attrs)
    const [experts, out, width] = weight.shape
    const fits =
      weight.shape.length === 3 &&
      routes.shape.length === 2 &&
      (x.shape.length === 2 || (x.shape.length === 3 && sameDim(x.shape[1], routes.shape[1]))) &&
      sameDim(x.shape[0], routes.shape[0]) &&
      sameDim(x.shape.at(-1)!, width) &&
      (!bias || (bias.shape.length === 2 && sameDim(bias.shape[0], experts) && sameDim(bias.shape[1], out)))
    if (!fits)
      throw new AttuneError(
        'ERR_SHAPE',
        `matmulExperts of x ${showShape(x.shape)} with weight ${showShape(weight.shape)} and routes ${showShape(routes.shape)}${bias ? ` and bias ${showShape(bias.shape)}` : ''}`,
        { x: showShape(x.shape), weight: showShape(weight.shape), routes: showShape(routes.shape) },
      )
    if (routes.dtype !== 'i32') throw new AttuneError('ERR_DTYPE', `routes must be i32, not ${String(routes.dtype)}`, {})
    return [{ dtype: 'f32', shape: [...routes.shape, out] }]
  },
  compose(inputs, attrs) {
    const { x, weight, routes, bias } = matmulExpertsOperands<Tensor>(inputs, attrs)
    const matrices = (weight.dtype === 'f32' ? weight : copyOf(weight, 'f32')).unsqueeze(1).transpose() // (E, 1, in, out)
    const rows = x.rank === 2 ? x.unsqueeze(1) : x // (N, 1 | K, in)
    const all = matmulOf(rows.unsqueeze(0), matrices) // (E, N, 1 | K, out)
    const biased = bias ? mapWith((y, b) => y.add(b), [all, bias.unsqueeze(1).unsqueeze(1)]) : all
    const own = mapWith((y, e) => e.eq(variable('i0', 'i32')).select(y, 0), [biased, routes.unsqueeze(0).unsqueeze(3)])
    return [sum(own, 0)]
  },
}

export function matmulExpertsOf(operands: MatmulExpertsOperands): Tensor {
  const names = (['x', 'weight', 'routes', 'bias'] as const).filter(n => operands[n] !== undefined)
  return call1(
    matmulExperts,
    names.map(n => operands[n]!),
    { names },
  )
}

/** Operand by name, from a flat input list. */
export const matmulExpertsOperands = <T>(inputs: readonly T[], { names }: MatmulExpertsAttrs): MatmulExpertsOperands<T> =>
  Object.fromEntries(names.map((n, i) => [n, inputs[i]])) as unknown as MatmulExpertsOperands<T>
