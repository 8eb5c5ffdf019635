import { cost } from '@attune/evaluate'
import { isCodec } from '@attune/tensor'
import type { CliCommand } from '../command.ts'
import { DEFAULT_MODEL } from '../context.ts'
import { bytes, count, table } from '../table.ts'

export const inspect: CliCommand = {
  name: 'inspect',
  summary: 'Show a model: layers, heads, parameters, KV bytes per token, types. Reads headers only.',
  define: c => c.argument('[model]', 'hub id, folder, .gguf or .safetensors', DEFAULT_MODEL),
  async run(context, [ref = DEFAULT_MODEL]) {
    const checkpoint = await context.open(ref, { remote: true })
    const kit = await context.kit()
    const model = await kit.model(checkpoint)
    const { spec } = model
    const c = cost(spec, model.variants)
    const dtypes: Record<string, { tensors: number; bytes: number }> = {}
    for (const t of checkpoint.tensors.values()) {
      const name = typeof t.dtype === 'object' && isCodec(t.dtype) ? t.dtype.name : String(t.dtype)
      const d = (dtypes[name] ??= { tensors: 0, bytes: 0 })
      d.tensors++
      d.bytes += t.bytes
    }
    const layers = spec.layers.map((l, i) => ({
      layer: i,
      ...l.attention,
      parameters: c.layers[i].parameters,
      kvBytesPerToken: c.layers[i].kvBytesPerToken,
      mlp: l.mlp,
    }))
    const value = {
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
      attention: layers,
      config: checkpoint.config,
    }
    context.result(value, () => {
      const head = [
        ['model', checkpoint.name],
        ['type', `${spec.type}, ${checkpoint.format}`],
        ['parameters', count(c.parameters)],
        ['layers × width', `${spec.layers.length} × ${spec.dim}`],
        ['vocabulary', `${spec.vocab}${spec.tied ? ' (output tied to the embeddings)' : ''}`],
        ['context', String(spec.maxPositions)],
        ['KV bytes per token', `${c.kvBytesPerToken} (f32)`],
        ['files', checkpoint.files.map(f => `${f.name} ${bytes(f.size)}`).join(', ')],
      ]
      const types = table(
        ['type', 'tensors', 'bytes'],
        Object.entries(dtypes).map(([n, d]) => [n, d.tensors, bytes(d.bytes)]),
      )
      const rows = grouped(layers.map(l => [l.variant, JSON.stringify(l.config), l.mask.kind, l.position.kind, l.kvBytesPerToken] as const))
      return `${head.map(([k, v]) => `${k.padEnd(20)}${v}`).join('\n')}\n\n${types}\n${table(['layers', 'attention', 'config', 'mask', 'position', 'KV B/token'], rows)}`
    })
  },
}

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
