import type { Layout } from '@attune/weights'
import type { EncoderSpec } from './encoder-spec.ts'
import type { DecoderSpec } from './spec.ts'

/** A model type: how its config.json becomes a Spec and how its files name the parameters. */
export interface Definition<S> {
  /** `model_type` of config.json. */
  readonly type: string
  /** `tensors` are the names in the checkpoint, for what files say and configs do not. */
  spec(config: Readonly<Record<string, unknown>>, tensors?: TensorNames): S
  /** File tensors ↔ parameters (`layers.3.attention.q.weight`), read both ways: loading and export. */
  layout(spec: S): Layout
}
export interface TensorNames {
  has(name: string): boolean
}

/** A language model. */
export type ModelDefinition = Definition<DecoderSpec> & {
  readonly kind?: 'decoder'
  /** Keys of a config that say `count` key-value heads in every layer; `num_key_value_heads` where absent. */
  kvHeads?(count: number, config: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>>
}
/** A model that reads whole sequences at once. */
export type EncoderDefinition = Definition<EncoderSpec> & { readonly kind: 'encoder' }
