import { AttuneError } from '@attune/expr'
import { copyOf } from './primitives/copy.ts'
import { fill, iota } from './primitives/create.ts'
import { scatterRows } from './primitives/gather.ts'
import { mapWith } from './primitives/map.ts'
import { capacity, elements } from './shape.ts'
import type { Node, Tensor } from './tensor.ts'

/**
 * Gradients of a scalar with respect to tensors, as new graph values of the same shapes (zeros where it does not depend on one).
 * Ops without a `vjp` are differentiated through their composition.
 */
export function grad(loss: Tensor, wrt: readonly Tensor[]): Tensor[] {
  if (elements(loss.shape) !== 1) throw new AttuneError('ERR_SHAPE', 'grad needs a loss with one element', {})
  const total = new Map<Node, (Tensor | undefined)[]>()
  const wanted = new Set(wrt.map(t => t.node))
  add(total, loss, fill(1, loss.shape))
  sweep([loss], total, wanted)
  return wrt.map(t => {
    const g = total.get(t.node)?.[t.index]
    if (!g) return fill(0, t.shape)
    return isWhole(t) ? g : viewGrad(g, t)
  })
}

/** Walks back from `roots`, adding to `total` the gradient of every node's outputs. */
function sweep(roots: readonly Tensor[], total: Map<Node, (Tensor | undefined)[]>, stop: ReadonlySet<Node>): void {
  for (const node of order(roots, stop)) {
    const grads = total.get(node)
    if (!grads || !node.op || !grads.some(g => g)) continue
    const { op, inputs, outputs, attrs } = node
    if (op.vjp) {
      op.vjp(inputs, outputs, grads, attrs).forEach((g, i) => {
        if (g) add(total, inputs[i], g)
      })
    } else if (op.compose) {
      const made = op.compose(inputs, attrs)
      const inner = new Set([...stop, ...inputs.map(t => t.node)])
      // A composition's gradients end at its inputs: collect them apart, then hand them on.
      const local = new Map<Node, (Tensor | undefined)[]>()
      made.forEach((t, i) => {
        if (grads[i]) add(local, t, grads[i])
      })
      sweep(made, local, inner)
      for (const n of new Set(inputs.map(t => t.node))) local.get(n)?.forEach((g, i) => g && add(total, n.outputs[i], g))
    }
  }
}

/** Nodes that `roots` depend on, last first; does not look behind `stop`. */
function order(roots: readonly Tensor[], stop: ReadonlySet<Node>): Node[] {
  const seen = new Set<Node>()
  const stack = roots.map(t => t.node)
  while (stack.length > 0) {
    const n = stack.pop()!
    if (seen.has(n) || stop.has(n)) continue
    seen.add(n)
    for (const t of n.inputs) stack.push(t.node)
  }
  return [...seen].sort((a, b) => b.id - a.id)
}

/** Adds gradient `g` of view `t` to its node's output. */
function add(total: Map<Node, (Tensor | undefined)[]>, t: Tensor, g: Tensor): void {
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
