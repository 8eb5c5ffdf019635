import { cost } from '@attune/evaluate'
import type { Model } from '@attune/models'
import { isCodec } from '@attune/tensor'
import type { Checkpoint } from '@attune/weights'
import { bytes, count, table } from './table.ts'

export type ModelFacts = ReturnType<typeof modelFacts>

/** What a checkpoint's headers say. */
export function modelFacts(checkpoint: Checkpoint, model: Model) {
  const { spec } = model
  const c = cost(spec, model.variants)
  const dtypes: Record<string, { tensors: number; bytes: number }> = {}
  for (const t of checkpoint.tensors.values()) {
    const name = typeof t.dtype === 'object' && isCodec(t.dtype) ? t.dtype.name : String(t.dtype)
    const d = (dtypes[name] ??= { tensors: 0, bytes: 0 })
    d.tensors++
    d.bytes += t.bytes
  }
  const attention = spec.layers.map((l, i) => ({
    layer: i,
    ...l.attention,
    parameters: c.layers[i].parameters,
    kvBytesPerToken: c.layers[i].kvBytesPerToken,
    mlp: l.mlp,
  }))
  return {
    name: checkpoint.name,
    format: checkpoint.format,
    type: spec.type,
    parameters: c.parameters,
    layers: spec.layers.length,
    dim: spec.dim,
    vocab: spec.vocab,
    maxPositions: spec.maxPositions,
    tied: spec.tied,
    kvBytesPerToken: c.kvBytesPerToken,
    kvElement: 'f32',
    dtypes,
    files: checkpoint.files,
    attention,
    config: checkpoint.config,
  }
}

export function factsText(f: ModelFacts): string {
  const head = [
    ['model', f.name],
    ['type', `${f.type}, ${f.format}`],
    ['parameters', count(f.parameters)],
    ['layers × width', `${f.layers} × ${f.dim}`],
    ['vocabulary', `${f.vocab}${f.tied ? ' (output tied to the embeddings)' : ''}`],
    ['context', String(f.maxPositions)],
    ['KV bytes per token', `${f.kvBytesPerToken} (f32)`],
    ['files', f.files.map(x => `${x.name} ${bytes(x.size)}`).join(', ')],
  ]
  const types = table(
    ['type', 'tensors', 'bytes'],
    Object.entries(f.dtypes).map(([n, d]) => [n, d.tensors, bytes(d.bytes)]),
  )
  const rows = f.attention.map(l => [l.variant, headsText(l.config), l.mask.kind, l.position.kind, l.kvBytesPerToken] as const)
  return `${head.map(([k, v]) => `${k.padEnd(20)}${v}`).join('\n')}\n\n${types}\n${table(['layers', 'attention', 'config', 'mask', 'position', 'KV B/token'], grouped(rows))}`
}

const headsText = (config: Readonly<Record<string, unknown>>): string =>
  Object.entries(config)
    .map(([key, value]) => `${key} ${JSON.stringify(value)}`)
    .join(', ')

/** Equal neighbouring layers on one line. */
function grouped(rows: readonly (readonly (string | number)[])[]): (string | number)[][] {
  const out: (string | number)[][] = []
  let from = 0
  rows.forEach((r, i) => {
    if (i + 1 < rows.length && rows[i + 1].join() === r.join()) return
    out.push([from === i ? String(i) : `${from}–${i}`, ...r])
    from = i + 1
  })
  return out
}
