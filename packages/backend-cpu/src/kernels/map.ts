import { compileMap, type Expr, MAX_INTEGER, nodes, simplify, tables, variables } from '@attune/expr'
import { capacity, elements, isCodec, type Kernel, type MapAttrs, map, type Sig } from '@attune/tensor'
import { type Axes, broadcastStrides, collapse, denseView, first, typeCode, whyAxes } from './layout.ts'

const TILE = 256
/** Limits of native/map.h and kernel.h. */
const MOST = { lanes: 128, tables: 16, bindings: 32 }

/** Elementwise maps by interpreted bytecode, a tile of 256 lanes at a time. Integers pass through f32 lanes: exact to 2^24. */
export const mapKernel: Kernel<MapAttrs> = {
  name: 'map',
  op: map,
  why(sig) {
    const large = whyIntegers(sig)
    if (large) return large
    const { code, axes, tables } = compiled(sig)
    const lanes = code[1] + code[2] + code[3]
    return first(
      ...sig.inputs.map((t, i) =>
        isCodec(t.dtype) ? `input ${i} is packed as ${t.dtype.name}; the kernel reads plain elements` : undefined,
      ),
      isCodec(sig.outputs[0].dtype) ? 'the output is packed' : undefined,
      whyAxes('the output', axes),
      lanes > MOST.lanes ? `the expression needs ${lanes} lanes of values; the kernel has ${MOST.lanes}` : undefined,
      tables.length > MOST.tables ? `the expression reads ${tables.length} tables; the kernel has room for ${MOST.tables}` : undefined,
      sig.inputs.length + 4 > MOST.bindings ? `${sig.inputs.length} operands; a launch binds ${MOST.bindings - 4}` : undefined,
    )
  },
  cost: ({ outputs }) => elements(outputs[0].shape),
  plan(sig) {
    const { code, scalars, axes, tables, indices } = compiled(sig)
    const { arity } = sig.attrs
    const [outStrides, ...inStrides] = axes.strides
    const layout = [
      axes.dims.length,
      arity,
      indices.length,
      tables.length,
      typeCode(sig.outputs[0].dtype),
      ...outStrides,
      ...inStrides.flatMap((s, i) => [typeCode(sig.inputs[i].dtype), ...s]),
      ...indices.map(a => axes.axisOf.get(a)!),
      ...tables.flatMap(t => [typeCode(t.dtype), ...padded(t.strides, 0)]),
    ]
    return {
      launches: [
        {
          text: 'map',
          bind: [
            { data: code },
            { data: Float32Array.from(scalars) },
            { data: Int32Array.from(layout) },
            { output: 0 },
            ...sig.inputs.slice(0, arity).map((_, i) => ({ input: i })),
            ...tables.map(t => ({ input: t.input })),
          ],
          params: [...axes.dims, ...tables.flatMap(t => padded(t.shape, 1))],
          threadScratch: (1 + code[1] + code[2] + code[3]) * TILE * 4,
        },
      ],
    }
  },
}

function compiled({ inputs, outputs, attrs: { expr: traced, arity } }: Sig<MapAttrs>) {
  const expr = simplify(traced)
  const { shape } = outputs[0]
  const indices = variables(expr).flatMap(v => (/^i\d+$/.test(v.name!) ? [Number(v.name!.slice(1))] : []))
  const names = [...inputs.slice(0, arity).map((_, i) => `x${i}`), ...indices.map(i => `i${i}`)]
  const program = compileMap(expr, names)
  // The op's operands follow the tables of the expression as it was traced; simplifying may have dropped some.
  const all = tables(traced).map(t => t.operand)
  const used = program.tables.map(t => {
    const input = arity + all.indexOf(t.operand)
    return { ...inputs[input], dtype: inputs[input].dtype, shape: inputs[input].shape, strides: inputs[input].strides, input }
  })
  const axes: Axes = collapse(shape, [denseView(shape), ...inputs.slice(0, arity).map(t => broadcastStrides(t, shape))], new Set(indices))
  return { code: program.code, scalars: [...program.uniforms, ...program.constants], axes, tables: used, indices }
}

/** Lanes are f32: the reason why integers that follow from indices and constants alone would be rounded, or undefined. */
function whyIntegers({ outputs, attrs: { expr } }: Sig<MapAttrs>): string | undefined {
  const largest = new Map<Expr, number>() // magnitude; NaN: unknown, from data
  const { list, id } = nodes(expr)
  for (const e of list) {
    if (e.type !== 'i32') continue
    const [a, b, c] = e.args.map(x => largest.get(list[id(x)]) ?? Number.NaN)
    const index = /^i\d+$/.test(e.name ?? '') ? capacity(outputs[0].shape[Number(e.name!.slice(1))]) - 1 : Number.NaN
    const size = {
      const: Math.abs(e.value!),
      var: index,
      add: a + b,
      sub: a + b,
      mul: a * b,
      neg: a,
      abs: a,
      idiv: a,
      mod: b,
      select: Math.max(b, c),
    }
    const most = (size as Partial<Record<string, number>>)[e.op] ?? Math.max(a, b)
    if (most > MAX_INTEGER) return `it counts to ${most}; the kernel's integers are exact to 2^24`
    largest.set(e, most)
  }
  return undefined
}

/** Three entries, the leading ones real. */
const padded = <T>(list: readonly T[], by: T): T[] => [...list, by, by, by].slice(0, 3)
