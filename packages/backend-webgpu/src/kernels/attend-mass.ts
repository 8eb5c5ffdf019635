import { type AttendAttrs, operandsOf } from '@attune/ops'
import type { Bind, LaunchPlan, Sig, ViewType } from '@attune/tensor'
import { kernelText, type Uniform } from '../wgsl/text.ts'
import { address, elementwise, elementwiseGrid, elementwiseUniforms, output } from '../wgsl/walk.ts'
import { type AttendParts, listHead } from './attend-parts.ts'

/** Each slot's weight over all queries that read its key head, a slot per thread, queries in order. `lse` is absent for sigmoid weights. */
export function massLaunch(
  { inputs, attrs, outputs }: Sig<AttendAttrs>,
  parts: AttendParts,
  lse: Bind | undefined,
  number: number,
): LaunchPlan {
  const o = operandsOf<ViewType>(inputs, attrs)
  const out = outputs[number]
  const heads = attrs.keyHeads.length
  const binding = parts.operands.length
  const listed = o.blocks && !o.blockCounts ? [{ name: 'listed', type: 'u32', value: o.blocks.shape[2] } as const] : []
  const uniforms: Uniform[] = [...elementwiseUniforms(out), ...listed, ...parts.uniforms]
  const starts = (row: string) => `u32(max(0i, offsets((${row}) * ${o.offsets.strides[0]}u)))`
  const weight = lse ? `exp(weighed.x - lse(n * ${heads}u + h))` : '1.0f / (1.0f + exp(-clamp(weighed.x, -80.0f, 80.0f)))'
  const statements = `var total = 0.0f;
if (c2 < held(c0, c1)) {
  for (var n = ${starts('c0')}; n < ${starts('c0 + 1u')}; n++) {
    for (var h = 0u; h < ${heads}u; h++) {
      if (key_head(h) != c1) { continue; }
${
  o.blocks
    ? `      if (!reads(n, ${listHead(o) === 'kv' ? 'c1' : 'h'}, c2 / ${attrs.block}u)) { continue; }
`
    : ''
}      let weighed = weigh(n, c0, h, c1, c2);
      if (weighed.y > 0.0f) { total += ${weight}; }
    }
  }
}
`
  return {
    text: kernelText({
      operands: [...parts.operands, output('f32'), ...(lse ? [{ name: 'lse', dtype: 'f32', write: true } as const] : [])],
      uniforms,
      functions: parts.functions + (o.blocks ? readsText(o) : ''),
      main: elementwise({ out, binding, statements, value: 'total' }),
    }),
    bind: [...parts.bind, { output: number }, ...(lse ? [lse] : [])],
    params: uniforms.map(p => p.value),
    grid: elementwiseGrid(out),
  }
}

/** Whether a block is on a token's list. */
function readsText({ blocks, blockCounts }: ReturnType<typeof operandsOf<ViewType>>): string {
  const count = blockCounts ? `u32(max(0i, block_counts(${address(blockCounts.strides, ['n', 'list'])})))` : 'u.listed'
  return `fn reads(n: u32, list: u32, block: u32) -> bool {
  for (var i = 0u; i < ${count}; i++) { if (blocks(${address(blocks!.strides, ['n', 'list', 'i'])}) == i32(block)) { return true; } }
  return false;
}
`
}
