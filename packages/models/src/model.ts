import { type ParamSpec, type ParamTree, type ParamValue, type ParamValues, walkParams, weightShape } from '@attune/nn'
import { AttuneError, Constant, type Device, isCodec, type Storage } from '@attune/tensor'
import { type Checkpoint, floats, type TensorEntry } from '@attune/weights'
import { decoderParams, type Variants } from './decoder.ts'
import { fileNames, type ModelDefinition } from './definition.ts'
import type { DecoderSpec } from './spec.ts'

/** A model: its Spec and its weights. Weights are shared by reference; a converted model keeps what it did not change. */
export interface Model {
  readonly spec: DecoderSpec
  readonly values: ParamValues
  readonly variants: Variants
  readonly definition: ModelDefinition
}

export interface LoadOptions {
  /** `as-stored` keeps packed and half weights as they are in the file; `f32` decodes them. */
  readonly weights?: 'as-stored' | 'f32'
}

/** Binds a checkpoint's tensors to a Spec. Every tensor is used exactly once or listed as ignorable; nothing is read yet. */
export function modelFrom(
  checkpoint: Checkpoint,
  definition: ModelDefinition,
  variants: Variants,
  { weights = 'as-stored' }: LoadOptions = {},
): Model {
  const spec = definition.spec(checkpoint.config)
  const values = new Map<string, ParamValue>()
  const unused = new Set(checkpoint.tensors.keys())
  const take = (name: string, shape: readonly number[]): Constant => {
    const entry = checkpoint.tensors.get(name)
    if (!entry)
      throw new AttuneError('ERR_FORMAT', `${checkpoint.name}: tensor '${name}' is missing`, { file: checkpoint.name, tensor: name })
    if (entry.shape.length !== shape.length || shape.some((n, i) => n !== entry.shape[i]))
      throw new AttuneError(
        'ERR_FORMAT',
        `${entry.file}: tensor '${name}' has shape (${entry.shape.join(', ')}), config.json asks for (${shape.join(', ')})`,
        { file: entry.file, tensor: name, shape: entry.shape, want: shape },
      )
    unused.delete(name)
    return constantOf(entry, weights)
  }
  for (const [path, p] of walkParams(decoderParams(spec, variants) as ParamTree)) {
    const names = fileNames(definition, path)
    const bias = p.kind === 'linear' && p.bias ? take(names.bias, [weightShape(p)[0]]) : undefined
    values.set(path, { weight: take(names.weight, weightShape(p as ParamSpec)), bias })
  }
  // A tied head may be stored all the same; it must be the same tensor, so it is not read.
  if (spec.tied) unused.delete(fileNames(definition, 'head').weight)
  const left = [...unused].filter(n => !definition.ignorable.some(r => r.test(n)))
  if (left.length > 0)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${checkpoint.name}: ${left.length} tensor${left.length > 1 ? 's' : ''} not used by model type '${definition.type}': ${left.slice(0, 5).join(', ')}${left.length > 5 ? ', …' : ''}`,
      { file: checkpoint.name, tensors: left },
    )
  return { spec, values, variants, definition }
}

function constantOf(entry: TensorEntry, mode: 'as-stored' | 'f32'): Constant {
  const keep: Storage | undefined =
    isCodec(entry.dtype as Storage) || entry.dtype === 'f32' || entry.dtype === 'f16' || entry.dtype === 'bf16'
      ? (entry.dtype as Storage)
      : undefined
  // Vectors are read as f32 by every kernel; they are small.
  if (keep && (keep === 'f32' || (mode === 'as-stored' && entry.shape.length > 1)))
    return new Constant(keep, entry.shape, () => entry.read(), entry.name)
  return new Constant('f32', entry.shape, async () => bytesOfFloats(await floats(entry)), entry.name)
}
const bytesOfFloats = (f: Float32Array): Uint8Array => new Uint8Array(f.buffer, f.byteOffset, f.byteLength)

/** Uploads every weight; later steps only bind them. */
export async function uploadWeights(
  model: Model,
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
export async function releaseWeights(model: Model, device: Device, keep: readonly Model[] = []): Promise<void> {
  const kept = new Set(keep.flatMap(m => [...m.values.values()].flatMap(v => [v.weight, v.bias])))
  for (const { weight, bias } of model.values.values()) for (const c of [weight, bias]) if (c && !kept.has(c)) await c.release(device)
}
