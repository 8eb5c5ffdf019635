import { type AttendAttrs, attend, operandsOf } from '@attune/ops'
import { capacity, elements, isLength, type Kernel, type LaunchPlan, type Plan, type Sig, type ViewType } from '@attune/tensor'
import { whyUnreadable } from '../wgsl/element.ts'
import { gridOf, kernelText, paramValue, SIZE, type Uniform } from '../wgsl/text.ts'
import { address, output } from '../wgsl/walk.ts'
import { massLaunch } from './attend-mass.ts'
import { type AttendParts, attendParts, listHead } from './attend-parts.ts'

/** Numbers of a value row a thread may hold. */
const MOST_VALUES = 16 * SIZE

/**
 * Attention, a workgroup per query and head: its threads score 64 slots at once, then sum their values, with a running maximum. The
 * weights of slots are a second launch, from the scores and lse.
 */
export const attendKernel: Kernel<AttendAttrs> = {
  name: 'attend',
  op: attend,
  why({ inputs, attrs, outputs }) {
    const o = operandsOf<ViewType>(inputs, attrs)
    const dV = outputs[0].shape[2]
    if (isLength(dV) || isLength(o.q.shape[2]) || isLength(o.q.shape[1]) || isLength(o.k.shape[1]))
      return 'heads and widths must be fixed numbers'
    if (dV > MOST_VALUES) return `values are ${dV} wide; the kernel holds ${MOST_VALUES}`
    if (o.blocks && !attrs.block) return 'block lists need the number of slots in a block'
    if (o.pages && !attrs.page) return 'pages need the number of slots in a page'
    return inputs.map(t => whyUnreadable(t.dtype)).find(Boolean)
  },
  cost: ({ inputs, attrs }) => elements(inputs[attrs.names.indexOf('q')].shape) * capacity(inputs[attrs.names.indexOf('k')].shape[2]),
  plan(sig): Plan {
    const { attrs, outputs } = sig
    const parts = attendParts(sig)
    const needsLse = attrs.mass && !attrs.lse && attrs.weigh === 'softmax'
    const mix = mixLaunch(sig, parts, attrs.lse ? { output: 1 } : needsLse ? { temp: 0 } : undefined)
    if (!attrs.mass) return { launches: [mix] }
    const lse = attrs.weigh === 'sigmoid' ? undefined : attrs.lse ? ({ output: 1 } as const) : ({ temp: 0 } as const)
    const temps = needsLse ? [4 * elements(outputs[0].shape.slice(0, 2))] : []
    return { launches: [mix, massLaunch(sig, parts, lse, attrs.lse ? 2 : 1)], temps }
  },
}

/** How many slots the workgroup's threads scored. */
const WORK = `atomicAdd(&all_scored, scored);
workgroupBarrier();
if (lane == 0u) { put_work(group, i32(atomicLoad(&all_scored))); }`

type Result = LaunchPlan['bind'][number]

function mixLaunch({ inputs, attrs, outputs: [out, ...more] }: Sig<AttendAttrs>, parts: AttendParts, lse: Result | undefined): LaunchPlan {
  const o = operandsOf<ViewType>(inputs, attrs)
  const heads = o.q.shape[1] as number
  const dV = out.shape[2] as number
  const held = Math.ceil(dV / SIZE)
  const softmax = attrs.weigh === 'softmax'
  const uniforms: Uniform[] = [
    { name: 'tokens', type: 'u32', value: o.q.shape[0] },
    { name: 'batch', type: 'u32', value: o.lengths.shape[0] },
    ...(o.blocks && !o.blockCounts ? [{ name: 'listed', type: 'u32', value: o.blocks.shape[2] } as const] : []),
    ...parts.uniforms,
  ]
  const first = o.sink ? `sink(${address(o.sink.strides, ['h'])})` : '-3.4e38f'
  const stored = (name: string) => `${o.v ? 'v_in' : 'k_in'}(${name} + d * ${(o.v ?? o.k).strides[3]}u)`
  const main = `let n = group / ${heads}u;
let h = group % ${heads}u;
if (n >= u.tokens) { return; }
let kv = key_head(h);
let vh = value_head(h);
if (lane == 0u) {
  var row = 0u;
  while (row < u.batch && offsets((row + 1u) * ${o.offsets.strides[0]}u) <= i32(n)) { row++; }
  at_batch = row;
  keys = 0u;
  if (row < u.batch) { keys = ${countText(o, attrs)}; }
}
let b = workgroupUniformLoad(&at_batch);
let count = workgroupUniformLoad(&keys);
let filled = held(b, kv);
var top = ${first};
var total = ${o.sink ? '1.0f' : '0.0f'};
var mixed: array<f32, ${held}>;
${attrs.work ? 'var scored = 0u;\n' : ''}for (var base = 0u; base < count; base += ${SIZE}u) {
  let i = base + lane;
  var slot = 0u;
  var weighed = vec2<f32>(0.0f, 0.0f);
  if (i < count) {
    slot = ${slotText(o, attrs)};
    if (slot < filled) { ${attrs.work ? 'scored++; ' : ''}weighed = weigh(n, b, h, kv, slot); }
  }
  slots[lane] = slot;
${
  softmax
    ? `  largest[lane] = select(-3.4e38f, weighed.x, weighed.y > 0.0f);
  workgroupBarrier();
  for (var half = ${SIZE / 2}u; half > 0u; half >>= 1u) {
    if (lane < half) { largest[lane] = max(largest[lane], largest[lane + half]); }
    workgroupBarrier();
  }
  let next = max(top, largest[0]);
  let kept = exp(top - next);
  top = next;
  weights[lane] = select(0.0f, exp(weighed.x - top), weighed.y > 0.0f);
  workgroupBarrier();
  total *= kept;
  for (var r = 0u; r < ${held}u; r++) { mixed[r] *= kept; }
`
    : `  weights[lane] = select(0.0f, 1.0f / (1.0f + exp(-clamp(weighed.x, -80.0f, 80.0f))), weighed.y > 0.0f);
  workgroupBarrier();
`
}  for (var j = 0u; j < min(${SIZE}u, count - base); j++) {
    let weight = weights[j];
    if (weight == 0.0f) { continue; }
    total += weight;
    let row = value_row(b, vh, slots[j]);
    for (var r = 0u; r < ${held}u; r++) {
      let d = lane + r * ${SIZE}u;
      if (d < ${dV}u) { mixed[r] += weight * ${stored('row')}; }
    }
  }
  workgroupBarrier();
}
for (var r = 0u; r < ${held}u; r++) {
  let d = lane + r * ${SIZE}u;
  if (d < ${dV}u) { put_out(group * ${dV}u + d, mixed[r]${softmax ? ' / max(total, 1e-37f)' : ''}); }
}
${lse ? 'if (lane == 0u) { put_lse(group, select(-3.4e38f, top + log(max(total, 1e-37f)), total > 0.0f)); }\n' : ''}${attrs.work ? WORK : ''}`
  return {
    text: kernelText({
      operands: [...parts.operands, output('f32'), ...(lse ? [output('f32', 'lse')] : []), ...(attrs.work ? [output('i32', 'work')] : [])],
      uniforms,
      functions: `${parts.functions}${attrs.work ? 'var<workgroup> all_scored: atomic<u32>;\n' : ''}var<workgroup> at_batch: u32;
var<workgroup> keys: u32;
var<workgroup> slots: array<u32, ${SIZE}>;
var<workgroup> weights: array<f32, ${SIZE}>;
${softmax ? `var<workgroup> largest: array<f32, ${SIZE}>;\n` : ''}`,
      main,
    }),
    bind: [...parts.bind, { output: 0 }, ...(lse ? [lse] : []), ...(attrs.work ? [{ output: more.length }] : [])],
    params: uniforms.map(p => p.value),
    grid: gridOf(values => paramValue(o.q.shape[0], values) * heads),
  }
}

type Views = ReturnType<typeof operandsOf<ViewType>>

/** Slots to look at: those in use, or those of the token's blocks. */
function countText(o: Views, { block }: AttendAttrs): string {
  const { blocks, blockCounts } = o
  if (!blocks) return 'held(row, kv)'
  return `${blockCounts ? `u32(max(0i, block_counts(${address(blockCounts.strides, ['n', listHead(o)])})))` : 'u.listed'} * ${block}u`
}

/** The i-th slot to look at. */
function slotText(o: Views, { block }: AttendAttrs): string {
  if (!o.blocks) return 'i'
  return `u32(max(0i, blocks(${address(o.blocks.strides, ['n', listHead(o), `(i / ${block}u)`])}))) * ${block}u + i % ${block}u`
}
