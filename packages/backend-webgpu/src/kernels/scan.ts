import { type ScanAttrs, scan, scanOperands } from '@attune/ops'
import { capacity, elements, isLength, type Kernel, type Plan, type Sig, type ViewType } from '@attune/tensor'
import { whyUnreadable } from '../wgsl/element.ts'
import { gridOf, kernelText, paramValue, SIZE, type Uniform } from '../wgsl/text.ts'
import { address, output, times } from '../wgsl/walk.ts'

/** Numbers of a state's column a thread may hold. */
const MOST_KEYS = 256

/** The step form, a column of a state per thread: token after token, in f32. */
export const scanKernel: Kernel<ScanAttrs> = {
  name: 'scan',
  op: scan,
  why({ inputs, attrs }) {
    const { initial } = scanOperands<ViewType>(inputs, attrs)
    if (initial.shape.slice(1).some(isLength)) return 'state heads and widths must be fixed numbers'
    if (capacity(initial.shape[2]) > MOST_KEYS) return `keys are ${capacity(initial.shape[2])} wide; the kernel holds ${MOST_KEYS}`
    return inputs.map(t => whyUnreadable(t.dtype)).find(Boolean)
  },
  cost: ({ inputs, attrs, outputs }) => elements(outputs[1].shape) * capacity(scanOperands<ViewType>(inputs, attrs).q.shape[0]),
  plan: planScan,
}

function planScan({ inputs, attrs }: Sig<ScanAttrs>): Plan {
  const { queryHeads, stateHeads, keyHeads, valueHeads, names, rule, scale } = attrs
  const o = scanOperands<ViewType>(inputs, attrs)
  const [batch, , dK, dV] = o.initial.shape as number[]
  const heads = queryHeads.length
  const states = keyHeads.length
  const threads = times([batch, states * dV])
  const uniforms: Uniform[] = [
    { name: 'threads', type: 'u32', value: threads },
    { name: 'batch', type: 'u32', value: o.initial.shape[0] },
    { name: 'tokens', type: 'u32', value: o.q.shape[0] },
    { name: 'scale', type: 'f32', value: { f32: scale } },
  ]
  const map = (from: number, index: string) => `u32(head_map(${from}u + ${index}))`
  const kept = o.decay && `exp(decay(${address(o.decay.strides, ['t', 'p', 'i'].slice(0, o.decay.shape.length))}))`
  const each = (text: string) => `for (var i = 0u; i < ${dK}u; i++) { ${text} }`
  const column = (i: string) => address(o.initial.strides, ['row', 'p', i, 'j'])
  const main = `let at = group * ${SIZE}u + lane;
if (at >= u.threads) { return; }
let j = at % ${dV}u;
let p = (at / ${dV}u) % ${states}u;
let row = at / ${dV * states}u;
let key_head = ${map(2 * heads, 'p')};
let value_head = ${map(2 * heads + states, 'p')};
let end = u32(max(0i, offsets((row + 1u) * ${o.offsets.strides[0]}u)));
var state: array<f32, ${dK}>;
${each(`state[i] = initial(${column('i')});`)}
for (var t = u32(max(0i, offsets(row * ${o.offsets.strides[0]}u))); t < end; t++) {
  ${kept ? (o.decay!.shape.length === 3 ? each(`state[i] *= ${kept};`) : `let kept = ${kept};\n  ${each('state[i] *= kept;')}`) : ''}
  let key = ${address(o.k.strides, ['t', 'key_head'])};
  var update = v_in(${address(o.v.strides, ['t', 'value_head', 'j'])});
  ${
    rule === 'delta'
      ? `var known = 0.0f;
  ${each(`known += k_in(key + i * ${o.k.strides[2]}u) * state[i];`)}
  update = ${o.beta ? `beta(${address(o.beta.strides, ['t', 'p'])}) * ` : ''}(update - known);`
      : ''
  }
  ${each(`state[i] += k_in(key + i * ${o.k.strides[2]}u) * update;`)}
  for (var h = 0u; h < ${heads}u; h++) {
    if (${map(heads, 'h')} != p) { continue; }
    let query_head = ${map(0, 'h')};
    let query = ${address(o.q.strides, ['t', 'query_head'])};
    var total = 0.0f;
    ${each(`total += q_in(query + i * ${o.q.strides[2]}u) * state[i];`)}
    put_out((t * ${heads}u + h) * ${dV}u + j, u.scale * total);
  }
}
${each(`put_state_out(((row * ${states}u + p) * ${dK}u + i) * ${dV}u + j, state[i]);`)}
if (row + 1u < u.batch) { return; }
for (var t = end; t < u.tokens; t++) {
  for (var h = 0u; h < ${heads}u; h++) { if (${map(heads, 'h')} == p) { put_out((t * ${heads}u + h) * ${dV}u + j, 0.0f); } }
}`
  const readers: Record<string, string> = { q: 'q_in', k: 'k_in', v: 'v_in' }
  return {
    launches: [
      {
        text: kernelText({
          operands: [
            output('f32'),
            output('f32', 'state_out'),
            { name: 'head_map', dtype: 'i32' },
            ...names.map((name, i) => ({ name: readers[name] ?? name, dtype: inputs[i].dtype })),
          ],
          uniforms,
          main,
        }),
        bind: [
          { output: 0 },
          { output: 1 },
          { data: Int32Array.from([...queryHeads, ...stateHeads, ...keyHeads, ...valueHeads]) },
          ...names.map((_, i) => ({ input: i })),
        ],
        params: uniforms.map(p => p.value),
        grid: gridOf(n => Math.ceil(paramValue(threads, n) / SIZE)),
      },
    ],
  }
}
