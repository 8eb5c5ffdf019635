import { cost } from '@attune/evaluate'
import { type EncoderModel, encoderParams, type Model } from '@attune/models'
import { countParams } from '@attune/nn'
import { type Storage, storageName } from '@attune/tensor'
import { type Checkpoint, sentenceSettings } from '@attune/weights'
import { bytes, count, table } from './table.ts'

export type ModelFacts = ReturnType<typeof modelFacts>

/** What a checkpoint's headers say. */
export function modelFacts(checkpoint: Checkpoint, model: Model) {
  const { spec } = model
  const c = cost(spec, model.variants)
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
    dtypes: dtypesOf(checkpoint),
    files: checkpoint.files,
    attention,
    config: checkpoint.config,
  }
}

/** What an encoder's headers say. */
export function encoderFacts(checkpoint: Checkpoint, { spec, variants }: EncoderModel) {
  return {
    name: checkpoint.name,
    format: checkpoint.format,
    type: spec.type,
    parameters: countParams(encoderParams(spec, variants)),
    layers: spec.layers.length,
    dim: spec.dim,
    input: spec.input,
    head: spec.head,
    sentence: sentenceSettings(checkpoint.sentence ?? {}),
    dtypes: dtypesOf(checkpoint),
    files: checkpoint.files,
    attention: spec.layers.map((l, i) => ({ layer: i, ...l.attention, mlp: l.mlp })),
    config: checkpoint.config,
  }
}

export function encoderFactsText(f: ReturnType<typeof encoderFacts>): string {
  const { input, head } = f
  return factsOf(
    [
      ['model', f.name],
      ['type', `${f.type}, ${f.format}, an encoder`],
      ['parameters', count(f.parameters)],
      ['layers × width', `${f.layers} × ${f.dim}`],
      ['reads', input.kind === 'tokens' ? `tokens of ${input.vocab}` : `images in patches of ${input.patch.join(' × ')}`],
      [
        'gives',
        head ? `${head.gives} of ${head.size} for ${head.of === 'tokens' ? 'every token' : 'each input'}` : 'states of every token',
      ],
      ['files', f.files.map(x => `${x.name} ${bytes(x.size)}`).join(', ')],
    ],
    f.dtypes,
    ['layers', 'attention', 'config', 'mask', 'position'],
    f.attention.map(l => [l.variant, headsText(l.config), l.mask.kind, l.position.kind]),
  )
}

function dtypesOf(checkpoint: Checkpoint): Record<string, { tensors: number; bytes: number }> {
  const dtypes: Record<string, { tensors: number; bytes: number }> = {}
  for (const t of checkpoint.tensors.values()) {
    const name = storageName(t.dtype as Storage)
    const d = (dtypes[name] ??= { tensors: 0, bytes: 0 })
    d.tensors++
    d.bytes += t.bytes
  }
  return dtypes
}

export function factsText(f: ModelFacts): string {
  return factsOf(
    [
      ['model', f.name],
      ['type', `${f.type}, ${f.format}`],
      ['parameters', count(f.parameters)],
      ['layers × width', `${f.layers} × ${f.dim}`],
      ['vocabulary', `${f.vocab}${f.tied ? ' (output tied to the embeddings)' : ''}`],
      ['context', String(f.maxPositions)],
      ['KV bytes per token', `${f.kvBytesPerToken} (f32)`],
      ['files', f.files.map(x => `${x.name} ${bytes(x.size)}`).join(', ')],
    ],
    f.dtypes,
    ['layers', 'attention', 'config', 'mask', 'position', 'KV B/token'],
    f.attention.map(l => [l.variant, headsText(l.config), l.mask.kind, l.position.kind, l.kvBytesPerToken]),
  )
}

function factsOf(
  head: readonly (readonly [string, string])[],
  dtypes: ReturnType<typeof dtypesOf>,
  columns: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const types = table(
    ['type', 'tensors', 'bytes'],
    Object.entries(dtypes).map(([n, d]) => [n, d.tensors, bytes(d.bytes)]),
  )
  return `${head.map(([k, v]) => `${k.padEnd(20)}${v}`).join('\n')}\n\n${types}\n${table(columns, grouped(rows))}`
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
