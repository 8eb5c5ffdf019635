import { type Expr, tables, variable } from '@attune/expr'
import { type AttendAttrs, type AttendOperands, operandsOf, tableInputs } from '@attune/ops'
import type { Bind, Sig, ViewType } from '@attune/tensor'
import { type ExprText, exprHelpers, exprText, tableReader } from '../wgsl/expr.ts'
import type { Operand, Uniform } from '../wgsl/text.ts'
import { address } from '../wgsl/walk.ts'

type Views = AttendOperands<ViewType>

/** What the kernels of one `attend` share: its operands as bindings, and functions over them. */
export interface AttendParts {
  readonly operands: readonly Operand[]
  readonly bind: readonly Bind[]
  readonly uniforms: readonly Uniform[]
  /**
   * `key_head(h)`, `value_head(h)`; `held(b, kv)`: slots in use; `value_row(b, vh, slot)`: index of a row's first element; `weigh(n, b,
   * h, kv, slot)`: the score, and 1 where the slot is seen.
   */
  readonly functions: string
}

/** Name of each operand's reading function. */
const NAMES: Readonly<Record<keyof AttendOperands, string>> = {
  q: 'q_in',
  k: 'k_in',
  v: 'v_in',
  lengths: 'lengths',
  offsets: 'offsets',
  qRow: 'q_rows',
  qPosition: 'q_positions',
  kRow: 'k_rows',
  kPosition: 'k_positions',
  sink: 'sink',
  blocks: 'blocks',
  blockCounts: 'block_counts',
  pages: 'pages',
  rotate: 'frequency',
}
const PARAMETERS = 'b: i32, h: i32, kv: i32, q_row: i32, q_position: i32, k_row: i32, k_position: i32'
const GIVEN = 'i32(b), i32(h), i32(kv), q_row, q_position, k_row, k_position'
/** What late rotation calls. */
const TURN = [variable('x').sin(), variable('x').cos()]

export function attendParts({ inputs, attrs }: Sig<AttendAttrs>): AttendParts {
  const o = operandsOf<ViewType>(inputs, attrs)
  const own = tableInputs(
    inputs.map((_, i) => i),
    attrs,
  )
  const score = exprPart(attrs.score, 's', own.score, inputs)
  const mask = exprPart(attrs.mask, 'm', own.mask, inputs)
  const used = [score, mask].flatMap(p => (p ? [p.expr] : []))
  return {
    operands: [
      ...attrs.names.map((name, i) => ({ name: NAMES[name], dtype: inputs[i].dtype })),
      { name: 'head_map', dtype: 'i32' },
      ...[score, mask].flatMap(p => p?.operands ?? []),
    ],
    bind: [
      ...attrs.names.map((_, i) => ({ input: i })),
      { data: Int32Array.from([...attrs.keyHeads, ...attrs.valueHeads]) },
      ...[...own.score, ...own.mask].map(input => ({ input })),
    ],
    uniforms: [{ name: 'scale', type: 'f32', value: { f32: attrs.scale } }, ...[score, mask].flatMap(p => p?.uniforms ?? [])],
    functions: [
      exprHelpers([...used, ...(o.rotate ? TURN : [])]),
      ...[score, mask].map(p => p?.readers ?? ''),
      score ? `fn score_of(s: f32, ${PARAMETERS}) -> f32 {\n${score.text.statements}return ${score.text.value};\n}\n` : '',
      mask ? `fn mask_of(${PARAMETERS}) -> bool {\n${mask.text.statements}return ${mask.text.value};\n}\n` : '',
      `fn key_head(h: u32) -> u32 { return u32(head_map(h)); }
fn value_head(h: u32) -> u32 { return u32(head_map(${attrs.keyHeads.length}u + h)); }
fn held(b: u32, kv: u32) -> u32 { return u32(max(0i, lengths(${address(o.lengths.strides, ['b', 'kv'])}))); }
`,
      row('key_row', o.k, o, attrs),
      row('value_row', o.v ?? o.k, o, attrs),
      product(o, attrs),
      weigh(o, attrs),
    ].join(''),
  }
}

/** Block lists are per key head, or per query head. */
export const listHead = ({ blocks, lengths }: Views): 'kv' | 'h' => (blocks!.shape[1] === lengths.shape[1] ? 'kv' : 'h')

interface ExprPart {
  readonly expr: Expr
  readonly text: ExprText
  readonly operands: readonly Operand[]
  readonly uniforms: readonly Uniform[]
  readonly readers: string
}

/** A score or mask with the tables it reads, which are `inputs[own[i]]` in the order of `tables`. */
function exprPart(expr: Expr | undefined, prefix: string, own: readonly number[], inputs: readonly ViewType[]): ExprPart | undefined {
  if (!expr) return undefined
  const names = own.map((_, i) => `${prefix}t${i}`)
  const readers = tables(expr).map((t, i) => tableReader(names[i], inputs[own[i]], t.dtype))
  const text = exprText(expr, prefix, slot => `${names[slot]}_at`)
  return {
    expr,
    text,
    operands: own.map((input, i) => ({ name: names[i], dtype: inputs[input].dtype })),
    uniforms: [...readers.flatMap(r => r.uniforms), ...text.uniforms],
    readers: readers.map(r => r.text).join(''),
  }
}

/** First element of a row of keys or values, through the page table where there is one. */
function row(name: string, { strides }: ViewType, { pages }: Views, { page }: AttendAttrs): string {
  const own = pages?.shape.length === 3 // pages of each head's own: the pool has one head
  const found = pages
    ? `let named = u32(max(0i, pages(${address(pages.strides, [...(own ? ['b', 'head'] : ['b']), `(slot / ${page}u)`])})));
  return ${address(strides, ['named', own ? '0u' : 'head', `(slot % ${page}u)`])};`
    : `return ${address(strides, ['b', 'head', 'slot'])};`
  return `fn ${name}(b: u32, head: u32, slot: u32) -> u32 {\n  ${found}\n}\n`
}

/** q · k, with the key turned by its position where keys lie unrotated. */
function product({ q, k, rotate }: Views, { pairing }: AttendAttrs): string {
  const width = q.shape[2] as number
  const turned = rotate ? 2 * (rotate.shape[0] as number) : 0
  const [first, second] = pairing === 'interleaved' ? ['2u * i', '2u * i + 1u'] : ['i', `i + ${turned / 2}u`]
  const query = (d: string) => `q_in(query + (${d}) * ${q.strides[2]}u)`
  const key = (d: string) => `k_in(row + (${d}) * ${k.strides[3]}u)`
  return `fn product(n: u32, h: u32, row: u32, position: i32) -> f32 {
  let query = ${address(q.strides, ['n', 'h'])};
  var total = 0.0f;
${
  rotate
    ? `  for (var i = 0u; i < ${turned / 2}u; i++) {
    let angle = f32(position) * frequency(i * ${rotate.strides[0]}u);
    let c = attune_cos(angle);
    let s = attune_sin(angle);
    let x = ${key(first)};
    let y = ${key(second)};
    total += ${query(first)} * (x * c - y * s) + ${query(second)} * (y * c + x * s);
  }
`
    : ''
}  for (var i = ${turned}u; i < ${width}u; i++) { total += ${query('i')} * ${key('i')}; }
  return total;
}
`
}

function weigh({ qRow, qPosition, kRow, kPosition }: Views, { score, mask }: AttendAttrs): string {
  const slot = ['b', 'kv', 'slot']
  return `fn weigh(n: u32, b: u32, h: u32, kv: u32, slot: u32) -> vec2<f32> {
  let q_row = q_rows(${address(qRow.strides, ['n'])});
  let q_position = ${qPosition ? `q_positions(${address(qPosition.strides, ['n'])})` : 'q_row'};
  let k_row = ${kRow ? `k_rows(${address(kRow.strides, slot)})` : 'i32(slot)'};
  let k_position = ${kPosition ? `k_positions(${address(kPosition.strides, slot)})` : 'k_row'};
${mask ? `  if (!mask_of(${GIVEN})) { return vec2<f32>(0.0f, 0.0f); }\n` : ''}  let s = product(n, h, key_row(b, kv, slot), k_position) * u.scale;
  return vec2<f32>(${score ? `score_of(s, ${GIVEN})` : 's'}, 1.0f);
}
`
}
