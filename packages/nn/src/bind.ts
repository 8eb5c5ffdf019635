import { linearOf } from '@attune/ops'
import { AttuneError, type Constant, constantTensor, dense, gatherRows, type Tensor } from '@attune/tensor'
import {
  type Bound,
  type BoundLinear,
  type LinearSpec,
  type ParamSpec,
  type ParamTree,
  type ParamValue,
  type ParamValues,
  size,
  weightShape,
} from './params.ts'

/** Turns parameter specs and their weights into the functions and tensors that a `forward` uses. Shapes are checked here, once. */
export function bindParams<T extends ParamTree>(tree: T, values: ParamValues, prefix = ''): Bound<T> {
  const out: Record<string, unknown> = {}
  for (const [name, x] of Object.entries(tree)) {
    const path = prefix ? `${prefix}.${name}` : name
    if (typeof (x as ParamSpec).kind !== 'string') {
      out[name] = bindParams(x as ParamTree, values, path)
      continue
    }
    const value = values.get(path)
    if (!value) throw new AttuneError('ERR_ARGUMENT', `parameter '${path}' has no weight`, { path })
    out[name] = bindOne(x as ParamSpec, value, path)
  }
  return out as Bound<T>
}

function bindOne(spec: ParamSpec, value: ParamValue, path: string): unknown {
  const want = weightShape(spec)
  const have = value.weight.shape
  if (want.length !== have.length || want.some((n, i) => n !== have[i]))
    throw new AttuneError('ERR_SHAPE', `parameter '${path}' has shape (${have.join(', ')}), the spec says (${want.join(', ')})`, {
      path,
      have,
      want,
    })
  if (spec.kind === 'linear' && spec.bias !== (value.bias !== undefined))
    throw new AttuneError(
      'ERR_ARGUMENT',
      `parameter '${path}' ${spec.bias ? 'lacks its bias' : 'has a bias that its spec does not name'}`,
      { path },
    )
  const weight = tensorOf(value.weight)
  if (spec.kind === 'vector' || spec.kind === 'array') return weight
  if (spec.kind === 'embedding') return { lookup: (ids: Tensor) => gatherRows(weight, ids), project: (x: Tensor) => linearOf(x, weight) }
  return boundLinear(spec, weight, value.bias && tensorOf(value.bias))
}

function boundLinear(spec: LinearSpec, weight: Tensor, bias?: Tensor): BoundLinear {
  const ins = Object.keys(spec.in).length
  const outs = Object.values(spec.out)
  const apply = (x: Tensor): Tensor => {
    const lead = x.shape.slice(0, x.rank - ins)
    const flat = ins === 1 ? x : dense(x).reshape([...lead, size(spec.in)])
    const y = linearOf(flat, weight, bias)
    return outs.length === 1 ? y : y.reshape([...lead, ...outs])
  }
  return Object.assign(apply, { weight, bias })
}

const tensors = new WeakMap<Constant, Tensor>()
/** One graph leaf per weight, so that every mention of it is the same slot. */
export function tensorOf(c: Constant): Tensor {
  let t = tensors.get(c)
  if (!t) tensors.set(c, (t = constantTensor(c)))
  return t
}
