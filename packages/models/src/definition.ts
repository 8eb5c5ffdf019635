import type { Layout } from '@attune/weights'
import type { DecoderSpec } from './spec.ts'

/** A model type: how its config.json becomes a Spec and how its files name the parameters. */
export interface ModelDefinition {
  /** `model_type` of config.json. */
  readonly type: string
  spec(config: Readonly<Record<string, unknown>>): DecoderSpec
  /** File tensors ↔ parameters (`layers.3.attention.q.weight`), read both ways: loading and export. */
  layout(spec: DecoderSpec): Layout
}
