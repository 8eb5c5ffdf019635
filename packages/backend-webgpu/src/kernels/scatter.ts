import { capacity, elements, isCodec, type Kernel, type Plan, type ScatterMode, type Sig, scatter } from '@attune/tensor'
import { converted, encoded, perWord, valueType, whyUnreadable } from '../wgsl/element.ts'
import { gridOf, kernelText, paramValue, SIZE, type Uniform } from '../wgsl/text.ts'
import { address, coordinates, walk } from '../wgsl/walk.ts'

type Attrs = { mode: ScatterMode }

/**
 * Rows written or added in place, a word of a row per thread. Of equal indices one thread does the work of all, in index order, so no
 * atomics are needed. Rows that share words with their neighbours are written by a single thread.
 */
export const scatterKernel: Kernel<Attrs> = {
  name: 'scatter',
  op: scatter,
  why({ inputs: [x, , rows], attrs: { mode } }) {
    if (isCodec(x.dtype)) return `the kernel does not pack ${x.dtype.name}`
    if (mode === 'add' && (x.dtype === 'u8' || x.dtype === 'bool')) return `the kernel does not add in ${x.dtype}`
    return x.contiguous ? whyUnreadable(rows.dtype) : 'the destination is a strided view'
  },
  cost: ({ inputs }) => elements(inputs[2].shape),
  plan: planScatter,
}

function planScatter({ inputs: [x, index, rows], attrs: { mode } }: Sig<Attrs>): Plan {
  const type = valueType(x.dtype)
  const per = perWord(x.dtype)
  const rank = index.shape.length
  const entries = walk(index.shape, 'd')
  const inner = walk(x.shape.slice(1), 'c')
  const width = x.shape.slice(1).reduce<number>((t, d) => t * capacity(d), 1)
  const alone = width % per !== 0
  const words = alone ? width : width / per
  const source = address(rows.strides, [...coordinates(rank, 'd'), ...coordinates(x.shape.length - 1, 'c')])
  const uniforms: Uniform[] = [
    { name: 'entries', type: 'u32', value: entries.count },
    { name: 'rows_end', type: 'i32', value: x.shape[0] },
    ...entries.uniforms,
    ...inner.uniforms,
  ]
  const bits = 32 / per
  const mask = per === 1 ? '4294967295u' : `${2 ** bits - 1}u`
  const functions = `fn index_at(at: u32) -> i32 {
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
fn store(i: u32, value: ${type}) {
  let a = u.at0 / ${4 / per}u + i;
  let shift = (a % ${per}u) * ${bits % 32}u;
  m0[a / ${per}u] = (m0[a / ${per}u] & ~(${mask} << shift)) | (${encoded(x.dtype, 'value')} << shift);
}
fn write(e: u32, w: u32) {
  let row = index_at(e);
  if (row < 0i || row >= u.rows_end) { return; }
  ${
    mode === 'set'
      ? 'for (var l = e + 1u; l < u.entries; l++) { if (index_at(l) == row) { return; } }'
      : 'for (var l = 0u; l < e; l++) { if (index_at(l) == row) { return; } }'
  }
  for (var part = 0u; part < ${alone ? 1 : per}u; part++) {
    let j = w * ${alone ? 1 : per}u + part;
    if (!inside(j)) { continue; }
    let i = u32(row) * ${width}u + j;
    ${
      mode === 'set'
        ? 'store(i, source(e, j));'
        : `var total = x(i);
    for (var l = e; l < u.entries; l++) { if (index_at(l) == row) { total += source(l, j); } }
    store(i, total);`
    }
  }
}
`
  const count = (n: Parameters<typeof paramValue>[1]) => (alone ? 1 : Math.ceil((paramValue(entries.count, n) * words) / SIZE))
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
          functions,
          main: alone
            ? `if (group + lane > 0u) { return; }
for (var e = 0u; e < u.entries; e++) { for (var w = 0u; w < ${words}u; w++) { write(e, w); } }`
            : `let at = group * ${SIZE}u + lane;
if (at >= u.entries * ${words}u) { return; }
write(at / ${words}u, at % ${words}u);`,
        }),
        bind: [{ output: 0 }, { input: 1 }, { input: 2 }],
        params: uniforms.map(p => p.value),
        grid: gridOf(count),
      },
    ],
  }
}
