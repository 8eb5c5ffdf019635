import { capacity, elements, isCodec, type Kernel, type Plan, type ScatterMode, type Sig, type Storage, scatter } from '@attune/tensor'
import { converted, encoded, perWord, valueType, whyUnreadable } from '../wgsl/element.ts'
import { packFunction, unitOf, whyUnpackable } from '../wgsl/pack.ts'
import { gridOf, kernelText, paramValue, SIZE, type Uniform } from '../wgsl/text.ts'
import { address, coordinates, walk } from '../wgsl/walk.ts'

type Attrs = { mode: ScatterMode }

/**
 * Rows written or added in place, whole words of a row per thread. Of equal indices one thread does the work of all, in index order, so
 * no atomics are needed. Rows that share words with their neighbours are written by a single thread.
 */
export const scatterKernel: Kernel<Attrs> = {
  name: 'scatter',
  op: scatter,
  why({ inputs: [x, , rows], attrs: { mode } }) {
    if (mode === 'add' && (x.dtype === 'u8' || x.dtype === 'bool')) return `the kernel does not add in ${x.dtype}`
    if (!x.contiguous) return 'the destination is a strided view'
    return (isCodec(x.dtype) ? whyUnpackable(x.dtype) : undefined) ?? whyUnreadable(rows.dtype)
  },
  cost: ({ inputs }) => elements(inputs[2].shape),
  plan: planScatter,
}

/** Element i in place; items of `size` elements are written by one thread each. */
interface Items {
  readonly size: number
  /** A neighbour's item may begin in the same word. */
  readonly alone: boolean
  /** Functions, and statements that write the item whose first element in its row is `first`. */
  readonly functions: string
  readonly statements: string
}

function itemsOf(dtype: Storage, width: number): Items {
  if (isCodec(dtype)) {
    const alone = (width / dtype.block) % unitOf(dtype) !== 0
    return {
      size: alone ? dtype.block : dtype.block * unitOf(dtype),
      alone,
      functions: packFunction(0, dtype),
      statements: `for (var j = first; j < first + item; j += ${dtype.block}u) {
    var values: array<f32, ${dtype.block}>;
    for (var i = 0u; i < ${dtype.block}u; i++) { values[i] = value_of(e, row, j + i); }
    pack(&values, u.at0 + (u32(row) * ${width}u + j) / ${dtype.block}u * ${dtype.bytes}u);
  }`,
    }
  }
  const per = perWord(dtype)
  const bits = 32 / per
  const mask = per === 1 ? '4294967295u' : `${2 ** bits - 1}u`
  return {
    size: width % per === 0 ? per : 1,
    alone: width % per !== 0,
    functions: `fn store(i: u32, value: ${valueType(dtype)}) {
  let a = u.at0 / ${4 / per}u + i;
  let shift = (a % ${per}u) * ${bits % 32}u;
  m0[a / ${per}u] = (m0[a / ${per}u] & ~(${mask} << shift)) | (${encoded(dtype, 'value')} << shift);
}
`,
    statements: `for (var j = first; j < first + item; j++) {
    if (inside(j)) { store(u32(row) * ${width}u + j, value_of(e, row, j)); }
  }`,
  }
}

function planScatter({ inputs: [x, index, rows], attrs: { mode } }: Sig<Attrs>): Plan {
  const type = valueType(x.dtype)
  const rank = index.shape.length
  const entries = walk(index.shape, 'd')
  const inner = walk(x.shape.slice(1), 'c')
  const width = x.shape.slice(1).reduce<number>((t, d) => t * capacity(d), 1)
  const { size, alone, functions, statements } = itemsOf(x.dtype, width)
  const items = width / size
  const source = address(rows.strides, [...coordinates(rank, 'd'), ...coordinates(x.shape.length - 1, 'c')])
  const uniforms: Uniform[] = [
    { name: 'entries', type: 'u32', value: entries.count },
    { name: 'rows_end', type: 'i32', value: x.shape[0] },
    ...entries.uniforms,
    ...inner.uniforms,
  ]
  const set = mode === 'set'
  const others = set ? 'var l = e + 1u; l < u.entries; l++' : 'var l = 0u; l < e; l++'
  const count = (n: Parameters<typeof paramValue>[1]) => (alone ? 1 : Math.ceil((paramValue(entries.count, n) * items) / SIZE))
  return {
    launches: [
      {
        text: kernelText({
          operands: [
            { name: 'x', dtype: x.dtype, write: true },
            { name: 'index', dtype: 'i32' },
            { name: 'rows', dtype: rows.dtype },
          ],
          uniforms,
          functions: `const item = ${size}u;
fn index_at(at: u32) -> i32 {
  ${entries.coordinates}${entries.inside ? `if (!(${entries.inside})) { return -1i; }` : ''}
  return index(${address(index.strides, coordinates(rank, 'd'))});
}
fn source(e: u32, j: u32) -> ${type} {
  var at = e;
  ${entries.coordinates}at = j;
  ${inner.coordinates}return ${converted(valueType(rows.dtype), type, `rows(${source})`)};
}
fn inside(at: u32) -> bool {
  ${inner.coordinates}return ${inner.inside ?? 'true'};
}
fn value_of(e: u32, row: i32, j: u32) -> ${type} {
  ${
    set
      ? 'return source(e, j);'
      : `var total = x(u32(row) * ${width}u + j);
  for (var l = e; l < u.entries; l++) { if (index_at(l) == row) { total += source(l, j); } }
  return total;`
  }
}
${functions}fn write(e: u32, first: u32) {
  let row = index_at(e);
  if (row < 0i || row >= u.rows_end) { return; }
  for (${others}) { if (index_at(l) == row) { return; } }
  ${statements}
}
`,
          main: alone
            ? `if (group + lane > 0u) { return; }
for (var e = 0u; e < u.entries; e++) { for (var w = 0u; w < ${items}u; w++) { write(e, w * item); } }`
            : `let at = group * ${SIZE}u + lane;
if (at >= u.entries * ${items}u) { return; }
write(at / ${items}u, at % ${items}u * item);`,
        }),
        bind: [{ output: 0 }, { input: 1 }, { input: 2 }],
        params: uniforms.map(p => p.value),
        grid: gridOf(count),
      },
    ],
  }
}
