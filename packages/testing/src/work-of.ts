import { type AttendAttrs, attend } from '@attune/ops'
import { call, type Node, type Tensor } from '@attune/tensor'

/** Slots that each query scores (N, heads) i32, as the kernel counts them, for every `attend` that a value is made with. */
export function workOf(value: Tensor): Tensor[] {
  const seen = new Set<Node>()
  const found: Tensor[] = []
  const visit = (node: Node): void => {
    if (seen.has(node)) return
    seen.add(node)
    for (const t of node.inputs) visit(t.node)
    if (node.op === attend) found.push(call(attend, node.inputs, { ...(node.attrs as AttendAttrs), work: true }).at(-1)!)
  }
  visit(value.node)
  return found
}
