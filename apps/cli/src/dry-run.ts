import { type DryRun, dryRun, type Plan } from '@attune/convert'
import type { Model } from '@attune/models'
import { bytes, count, table } from './table.ts'
import type { Texts } from './texts.ts'

export type DryRunValue = DryRun & { readonly source: string }

/** Layers that look alike on one line: what the plan would do and cost, and how exact the result would be. */
export const dryRunOf = (source: string, model: Model, plan: Plan, texts: Texts): DryRunValue => ({
  source,
  ...dryRun(model, plan, {
    calibrationTokens: texts.calibration.length,
    heldOutTokens: texts.held.flat().length,
    window: texts.held[0].length,
  }),
})

export function dryRunText(d: DryRunValue): string {
  const layers = d.layers.map(l => [
    l.layer,
    `${l.from} → ${l.to}`,
    l.path.join(', '),
    l.exactness,
    l.kvBytesPerToken.before,
    l.kvBytesPerToken.after,
  ])
  const { before, after } = d.kvBytesPerToken
  return [
    table(['layer', 'attention', 'by', 'class', 'KV B/token', 'after'], layers),
    `expected class      ${d.exactness}`,
    `KV bytes per token  ${before} → ${after} (${((100 * after) / before).toFixed(0)} %)`,
    `calibration         ${d.calibrationTokens > 0 ? `${d.calibrationTokens} tokens` : 'none needed'}`,
    `work                ${count(d.multiplyAdds)} multiply-adds, ${bytes(d.weightBytes)} of weights read`,
    `working set         ${bytes(d.workingSetBytes)} beside what the source keeps`,
    'nothing was written',
    '',
  ].join('\n')
}
