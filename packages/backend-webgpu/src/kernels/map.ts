import { tables, variables } from '@attune/expr'
import { elements, isCodec, type Kernel, type MapAttrs, map, type Plan, type Sig } from '@attune/tensor'
import { converted, valueType, whyUnreadable } from '../wgsl/element.ts'
import { exprHelpers, exprText, tableReader } from '../wgsl/expr.ts'
import { kernelText } from '../wgsl/text.ts'
import { address, coordinates, elementwise, elementwiseGrid, elementwiseUniforms, output } from '../wgsl/walk.ts'

/** Elementwise maps: the Expr printed into the kernel, an output element per thread. */
export const mapKernel: Kernel<MapAttrs> = {
  name: 'map',
  op: map,
  why: ({ inputs, outputs }) =>
    inputs.map(t => whyUnreadable(t.dtype)).find(Boolean) ?? (isCodec(outputs[0].dtype) ? 'the output is packed' : undefined),
  cost: ({ outputs }) => elements(outputs[0].shape),
  plan: planMap,
}

function planMap({ inputs, outputs: [out], attrs: { expr, arity } }: Sig<MapAttrs>): Plan {
  const rank = out.shape.length
  const used = new Map(variables(expr).map(v => [v.name!, v.type]))
  const read = inputs.slice(0, arity).flatMap((t, i) => (used.has(`x${i}`) ? [{ t, i, name: `x${i}` }] : []))
  const listed = tables(expr)
  const places = listed.map((table, i) => ({ table, t: inputs[arity + i], i: arity + i, name: `t${i}` }))
  const readers = places.map(({ name, t, table }) => tableReader(name, t, table.dtype))
  const text = exprText(expr, 'x', slot => `t${slot}_at`)
  const at = coordinates(rank)
  const loads = read.map(({ t, name }) => {
    const value = `in_${name}(${address(broadcastStrides(t.strides, t.shape, rank), at)})`
    return `let ${name} = ${converted(valueType(t.dtype), used.get(name)!, value)};\n` // the Expr says what it takes its input for
  })
  const indices = at.flatMap((c, a) => (used.has(`i${a}`) ? [`let i${a} = ${used.get(`i${a}`)}(${c});\n`] : []))
  const uniforms = [...elementwiseUniforms(out), ...readers.flatMap(r => r.uniforms), ...text.uniforms]
  return {
    launches: [
      {
        text: kernelText({
          operands: [
            output(out.dtype),
            ...read.map(({ t, name }) => ({ name: `in_${name}`, dtype: t.dtype })),
            ...places.map(({ t, name }) => ({ name, dtype: t.dtype })),
          ],
          uniforms,
          functions: readers.map(r => r.text).join('') + exprHelpers([expr]),
          main: elementwise({
            out,
            binding: 0,
            statements: loads.join('') + indices.join('') + text.statements,
            value: converted(expr.type, valueType(out.dtype), `(${text.value})`),
          }),
        }),
        bind: [{ output: 0 }, ...read.map(({ i }) => ({ input: i })), ...places.map(({ i }) => ({ input: i }))],
        params: uniforms.map(p => p.value),
        grid: elementwiseGrid(out),
      },
    ],
  }
}

const broadcastStrides = (strides: readonly number[], shape: readonly unknown[], rank: number): number[] => {
  const pad = rank - shape.length
  return Array.from({ length: rank }, (_, a) => (a < pad || shape[a - pad] === 1 ? 0 : strides[a - pad]))
}
