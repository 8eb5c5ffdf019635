import { table, variable } from '@attune/expr'
import { AttuneError, call1, mapExpr, type Op, sameDim, showShape, type Tensor } from '@attune/tensor'

/** Values side by side along the last axis: (…, a), (…, b) … → (…, a + b + …) f32; rank up to 3. */
export const concat: Op<null> = {
  name: 'concat',
  infer(inputs) {
    const [{ shape }] = inputs
    const wrong = inputs.some(
      ({ shape: s }) =>
        s.length !== shape.length ||
        s.length > 3 ||
        typeof s.at(-1) !== 'number' ||
        s.some((d, i) => i < s.length - 1 && !sameDim(d, shape[i])),
    )
    if (wrong)
      throw new AttuneError(
        'ERR_SHAPE',
        `concat of ${inputs.map(t => showShape(t.shape)).join(' and ')}: all axes but the last must agree`,
        {
          shapes: inputs.map(t => showShape(t.shape)),
        },
      )
    return [{ dtype: 'f32', shape: [...shape.slice(0, -1), inputs.reduce((n, t) => n + (t.shape.at(-1) as number), 0)] }]
  },
  compose(inputs) {
    const { rank } = inputs[0]
    const lead = Array.from({ length: rank - 1 }, (_, i) => variable(`i${i}`, 'i32'))
    const last = variable(`i${rank - 1}`, 'i32')
    let end = inputs.reduce((n, t) => n + (t.shape[rank - 1] as number), 0)
    const shape = [...inputs[0].shape.slice(0, -1), end]
    const read = (t: Tensor, start: number) => table(t, { dtype: 'f32', rank }).at(...lead, last.sub(start))
    const [tail, ...before] = [...inputs].reverse()
    let value = read(tail, (end -= tail.shape[rank - 1] as number))
    for (const t of before) {
      const start = end - (t.shape[rank - 1] as number)
      value = last.lt(end).select(read(t, start), value)
      end = start
    }
    return [mapExpr(value, [], { dtype: 'f32', shape })]
  },
}
/** `concat` of the tensors that are not empty. */
export function concatOf(...parts: readonly Tensor[]): Tensor {
  const some = parts.filter(t => t.shape.at(-1) !== 0)
  return some.length === 1 ? some[0] : call1(concat, some, null)
}
