import type { ParamValues } from '@attune/nn'
import { AttuneError, type Constant, type Device } from '@attune/tensor'
import type { Checkpoint } from '@attune/weights'
import { decoderParams } from './decoder.ts'
import type { EncoderDefinition, ModelDefinition } from './definition.ts'
import { type EncoderModel, encoderParams } from './encoder.ts'
import type { Variants } from './layers.ts'
import { type LoadOptions, valuesFromFiles } from './model-files.ts'
import type { DecoderSpec } from './spec.ts'
import { specOf } from './unknown.ts'

/** A model: its Spec and its weights. Weights are shared by reference; a converted model keeps what it did not change. */
export interface Model {
  readonly spec: DecoderSpec
  readonly values: ParamValues
  readonly variants: Variants
  readonly definition: ModelDefinition
}

/** Binds a checkpoint's tensors to a Spec. Every tensor is used exactly once or listed as ignorable; nothing is read yet. */
export function modelFrom(checkpoint: Checkpoint, definition: ModelDefinition, variants: Variants, options: LoadOptions = {}): Model {
  const spec = specOf(definition, checkpoint, options.onUnknown)
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
  const spec = specOf(definition, checkpoint, options.onUnknown)
  const values = valuesFromFiles(checkpoint, definition.type, definition.layout(spec), encoderParams(spec, variants), options)
  return { spec, values, variants }
}

const constantsOf = ({ values }: Pick<Model, 'values'>): Set<Constant> =>
  new Set([...values.values()].flatMap(v => (v.bias ? [v.weight, v.bias] : [v.weight])))
const bytesOf = (constants: Iterable<Constant>): number => [...constants].reduce((n, c) => n + c.byteLength, 0)

/** Refuses weights that the device has no room for, by their headers alone: `ERR_OOM` with the bytes needed and available. */
export function assertRoom(model: Pick<Model, 'values'>, device: Device): void {
  const missing = [...constantsOf(model)].filter(c => !c.isOn(device) && !c.isMappedOn(device))
  const needed = bytesOf(missing)
  const available = device.room?.() ?? Number.POSITIVE_INFINITY
  if (needed > available)
    throw new AttuneError('ERR_OOM', `the weights need ${needed} bytes, ${device.name} has ${available} available`, { needed, available })
  const { maxBufferBytes } = device.limits
  const large = missing.find(c => c.byteLength > maxBufferBytes)
  if (large)
    throw new AttuneError(
      'ERR_OOM',
      `${large.name} needs ${large.byteLength} bytes, ${device.name} has at most ${maxBufferBytes} available for one tensor`,
      { tensor: large.name, needed: large.byteLength, available: maxBufferBytes },
    )
}

/** Uploads every weight; later steps only bind them. Errors: `ERR_OOM` before anything is read, `ERR_ABORTED`. */
export async function uploadWeights(
  model: Pick<Model, 'values'>,
  device: Device,
  options: { signal?: AbortSignal; onProgress?: (done: number, total: number) => void } = {},
): Promise<void> {
  assertRoom(model, device)
  const all = constantsOf(model)
  const total = bytesOf(all)
  let done = 0
  for (const c of all) {
    if (options.signal?.aborted) throw new AttuneError('ERR_ABORTED', 'loading was aborted', {}, options.signal.reason)
    await c.on(device, options.signal)
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
  const kept = new Set(keep.flatMap(m => [...constantsOf(m)]))
  for (const c of constantsOf(model)) if (!kept.has(c)) await c.release(device)
}
