import type { ParamValues } from '@attune/nn'
import { AttuneError, type Device } from '@attune/tensor'
import type { Checkpoint } from '@attune/weights'
import { decoderParams } from './decoder.ts'
import type { EncoderDefinition, ModelDefinition } from './definition.ts'
import { type EncoderModel, encoderParams } from './encoder.ts'
import type { Variants } from './layers.ts'
import { type LoadOptions, valuesFromFiles } from './model-files.ts'
import type { DecoderSpec } from './spec.ts'

/** A model: its Spec and its weights. Weights are shared by reference; a converted model keeps what it did not change. */
export interface Model {
  readonly spec: DecoderSpec
  readonly values: ParamValues
  readonly variants: Variants
  readonly definition: ModelDefinition
}

/** Binds a checkpoint's tensors to a Spec. Every tensor is used exactly once or listed as ignorable; nothing is read yet. */
export function modelFrom(checkpoint: Checkpoint, definition: ModelDefinition, variants: Variants, options: LoadOptions = {}): Model {
  const spec = definition.spec(checkpoint.config, checkpoint.tensors)
  const values = valuesFromFiles(checkpoint, definition.type, definition.layout(spec), decoderParams(spec, variants), options)
  return { spec, values, variants, definition }
}

/** Binds a checkpoint's tensors to an encoder's Spec, as `modelFrom` does. */
export function encoderFrom(
  checkpoint: Checkpoint,
  definition: EncoderDefinition,
  variants: Variants,
  options: LoadOptions = {},
): EncoderModel {
  const spec = definition.spec(checkpoint.config, checkpoint.tensors)
  const values = valuesFromFiles(checkpoint, definition.type, definition.layout(spec), encoderParams(spec, variants), options)
  return { spec, values, variants }
}

/** Uploads every weight; later steps only bind them. */
export async function uploadWeights(
  model: Pick<Model, 'values'>,
  device: Device,
  options: { signal?: AbortSignal; onProgress?: (done: number, total: number) => void } = {},
): Promise<void> {
  const all = new Set([...model.values.values()].flatMap(v => (v.bias ? [v.weight, v.bias] : [v.weight])))
  const total = [...all].reduce((n, c) => n + c.byteLength, 0)
  let done = 0
  for (const c of all) {
    if (options.signal?.aborted) throw new AttuneError('ERR_ABORTED', 'loading was aborted', {}, options.signal.reason)
    await c.on(device)
    done += c.byteLength
    options.onProgress?.(done, total)
  }
}

/** Frees the weights on a device, except those another model still uses. */
export async function releaseWeights(
  model: Pick<Model, 'values'>,
  device: Device,
  keep: readonly Pick<Model, 'values'>[] = [],
): Promise<void> {
  const kept = new Set(keep.flatMap(m => [...m.values.values()].flatMap(v => [v.weight, v.bias])))
  for (const { weight, bias } of model.values.values()) for (const c of [weight, bias]) if (c && !kept.has(c)) await c.release(device)
}
