import { AttuneError } from '@attune/expr'
import { copyOf } from './primitives/copy.ts'
import { fill, iota } from './primitives/create.ts'
import { scatterRows } from './primitives/gather.ts'
import { mapWith } from './primitives/map.ts'
import { capacity, elements } from './shape.ts'
import type { Node, Tensor } from './tensor.ts'

type Gradients = Map<Node, (Tensor | undefined)[]>

/**
 * Gradients of a scalar with respect to tensors, as new graph values of the same shapes (zeros where it does not depend on one). A tensor
 * may depend on another: each gradient counts every path. Ops without a `vjp` are differentiated through their composition.
 */
export function grad(loss: Tensor, wrt: readonly Tensor[]): Tensor[] {
  if (elements(loss.shape) !== 1) throw new AttuneError('ERR_SHAPE', 'grad needs a loss with one element', {})
  const total: Gradients = new Map()
  add(total, loss, fill(1, loss.shape))
  for (const node of order([loss], new Set(wrt.map(t => t.node)))) back(node, total)
  return wrt.map(t => {
    const g = total.get(t.node)?.[t.index]
    if (!g) return fill(0, t.shape)
    return isWhole(t) ? g : viewGrad(g, t)
  })
}

/** Hands the gradients of a node's outputs on to its inputs. */
function back({ op, inputs, outputs, attrs }: Node, total: Gradients): void {
  const grads = outputs[0] && total.get(outputs[0].node)
  if (!op || !grads?.some(g => g)) return
  if (op.vjp) {
    op.vjp(inputs, outputs, grads, attrs).forEach((g, i) => {
      if (g) add(total, inputs[i], g)
    })
  } else if (op.compose) {
    // A composition's gradients end at its inputs: collect them apart, then hand them on.
    const made = op.compose(inputs, attrs)
    const ends = new Set(inputs.map(t => t.node))
    const local: Gradients = new Map()
    made.forEach((t, i) => {
      if (grads[i]) add(local, t, grads[i])
    })
    for (const node of order(made, ends)) if (!ends.has(node)) back(node, local)
    for (const end of ends) local.get(end)?.forEach((g, i) => g && add(total, end.outputs[i], g))
  }
}

/** Nodes between `roots` and `ends`, last first: those that an end is, or is needed for. */
function order(roots: readonly Tensor[], ends: ReadonlySet<Node>): Node[] {
  const seen = new Set<Node>()
  const stack = roots.map(t => t.node)
  while (stack.length > 0) {
    const n = stack.pop()!
    if (seen.has(n)) continue
    seen.add(n)
    for (const t of n.inputs) stack.push(t.node)
  }
  const depends = new Set<Node>()
  for (const n of [...seen].sort((a, b) => a.id - b.id)) if (ends.has(n) || n.inputs.some(t => depends.has(t.node))) depends.add(n)
  return [...depends].sort((a, b) => b.id - a.id)
}

/** Adds gradient `g` of view `t` to its node's output. */
function add(total: Gradients, t: Tensor, g: Tensor): void {
  const list = total.get(t.node) ?? t.node.outputs.map(() => undefined)
  total.set(t.node, list)
  const whole = isWhole(t) ? reshaped(g, t) : unview(g, t)
  const have = list[t.index]
  list[t.index] = have ? mapWith((a, b) => a.add(b), [have, whole]) : whole
}

const isWhole = (t: Tensor): boolean => t.contiguous && t.offset === 0 && elements(t.shape) === elements(t.node.outputs[t.index].shape)
const reshaped = (g: Tensor, t: Tensor): Tensor => (g.contiguous ? g : copyOf(g)).reshape(t.node.outputs[t.index].shape)

/** Scatters the gradient of a strided view back to the layout of the output it looks at. */
function unview(g: Tensor, t: Tensor): Tensor {
  const own = t.node.outputs[t.index]
  const n = elements(own.shape)
  const flat = scatterRows(fill(0, [n, 1]), flatIndex(t), flatten(g), 'add')
  return flat.reshape(own.shape)
}
const viewGrad = (g: Tensor, t: Tensor): Tensor => (g.contiguous ? g : copyOf(g)).view(t.shape, t.strides, t.offset)

function flatten(g: Tensor): Tensor {
  const d = g.contiguous ? g : copyOf(g)
  return d.view([elements(d.shape), 1], [1, 1], d.offset)
}
/** Index in the underlying output of each element of a view, in row-major order of the view. */
function flatIndex(t: Tensor): Tensor {
  const n = elements(t.shape)
  return mapWith(
    i => {
      let rest = i
      let at = i.mul(0).add(t.offset)
      for (let a = t.rank - 1; a >= 0; a--) {
        const d = capacity(t.shape[a])
        if (d === 1) continue
        at = at.add(rest.mod(d).mul(t.strides[a]))
        rest = rest.idiv(d)
      }
      return at
    },
    [iota(n)],
    { dtype: 'i32' },
  )
}
