import { elements, type Kernel, topk } from '@attune/tensor'
import { converted, valueType, whyUnreadable } from '../wgsl/element.ts'
import { gridOf, kernelText, paramValue, SIZE, type Uniform } from '../wgsl/text.ts'
import { address, coordinates, output, walk } from '../wgsl/walk.ts'

/** Words that sort like the floats they stand for: NaN as −∞, −0 as 0. 8388607 is −∞. */
const ORDER = `fn order(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  if ((bits & 2147483647u) > 2139095040u) { return 8388607u; }
  if ((bits & 2147483647u) == 0u) { return 2147483648u; }
  return select(bits | 2147483648u, ~bits, bits > 2147483647u);
}
fn unorder(word: u32) -> u32 { return select(~word, word & 2147483647u, word >= 2147483648u); }
var<workgroup> words: array<u32, ${SIZE}>;
var<workgroup> places: array<u32, ${SIZE}>;
`

/** A workgroup per row: k times the largest after the one before, by value and then by index. */
export const topkKernel: Kernel<{ k: number }> = {
  name: 'topk',
  op: topk,
  why: ({ inputs: [x] }) => whyUnreadable(x.dtype),
  cost: ({ inputs }) => elements(inputs[0].shape),
  plan({ inputs: [x], attrs: { k } }) {
    const lead = x.shape.slice(0, -1)
    const { count, coordinates: decompose, uniforms: ends, inside } = walk(lead)
    const uniforms: Uniform[] = [{ name: 'n', type: 'u32', value: x.shape.at(-1)! }, { name: 'rows', type: 'u32', value: count }, ...ends]
    const value = converted(valueType(x.dtype), 'f32', `x(start + i * ${x.strides.at(-1)}u)`)
    return {
      launches: [
        {
          text: kernelText({
            operands: [output('f32', 'values'), output('i32', 'indices'), { name: 'x', dtype: x.dtype }],
            uniforms,
            functions: ORDER,
            main: `let at = group;
if (at >= u.rows) { return; }
${decompose}${inside ? `if (!(${inside})) { return; }\n` : ''}let start = ${address(x.strides.slice(0, -1), coordinates(lead.length))};
var word = 4294967295u;
var place = 0u;
for (var j = 0u; j < ${k}u; j++) {
  var best = 0u;
  var best_at = 4294967295u;
  for (var i = lane; i < u.n; i += ${SIZE}u) {
    let o = order(${value});
    let later = o < word || (o == word && i > place);
    if (later && (o > best || best_at == 4294967295u)) { best = o; best_at = i; }
  }
  words[lane] = best;
  places[lane] = best_at;
  workgroupBarrier();
  for (var half = ${SIZE / 2}u; half > 0u; half >>= 1u) {
    if (lane < half) {
      let o = words[lane + half];
      let p = places[lane + half];
      if (p != 4294967295u && (places[lane] == 4294967295u || o > words[lane] || (o == words[lane] && p < places[lane]))) {
        words[lane] = o;
        places[lane] = p;
      }
    }
    workgroupBarrier();
  }
  word = words[0];
  place = places[0];
  workgroupBarrier();
  if (lane == 0u) {
    let to = at * ${k}u + j;
    let found = place != 4294967295u;
    m0[(u.at0 >> 2u) + to] = select(4286578688u, unorder(word), found);
    put_indices(to, select(-1i, i32(place), found));
  }
}`,
          }),
          bind: [{ output: 0 }, { output: 1 }, { input: 0 }],
          params: uniforms.map(p => p.value),
          grid: gridOf(n => paramValue(count, n)),
        },
      ],
    }
  },
}
