import { AttuneError } from '@attune/tensor'
import type { DecoderSpec } from './spec.ts'

/** A model type: how its config.json becomes a Spec and how its files name the parameters. */
export interface ModelDefinition {
  /** `model_type` of config.json. */
  readonly type: string
  spec(config: Readonly<Record<string, unknown>>): DecoderSpec
  /** Parameter path → name in the files without `.weight` / `.bias`; `*` is the layer number. Read both ways: loading and export. */
  readonly names: Readonly<Record<string, string>>
  /** Tensors in files that carry no parameter. */
  readonly ignorable: readonly RegExp[]
}

/** File names of a parameter: its weight and, where it has one, its bias. */
export function fileNames(definition: ModelDefinition, path: string): { weight: string; bias: string } {
  const layer = /^layers\.(\d+)\./.exec(path)?.[1]
  const name = definition.names[layer === undefined ? path : path.replace(/^layers\.\d+\./, 'layers.*.')]
  if (name === undefined)
    throw new AttuneError('ERR_UNSUPPORTED', `model type '${definition.type}' has no file name for parameter '${path}'`, {
      type: definition.type,
      path,
    })
  const base = layer === undefined ? name : name.replace('*', layer)
  return { weight: `${base}.weight`, bias: `${base}.bias` }
}
