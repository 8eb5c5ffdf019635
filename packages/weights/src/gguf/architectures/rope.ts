import { AttuneError } from '@attune/tensor'
import type { Config, Field } from '../architecture.ts'
import type { Metadata } from '../metadata.ts'
import { llama3Divisors, llama3Scaling } from '../rope-factors.ts'
import { headDim, optional } from './decoder.ts'

export const ROPE_DIVISORS = 'rope_freqs.weight'

/** `rope_theta` and `rope_scaling` as config.json has them. */
export function ropeOf(meta: Metadata, arch: string, folded: ReadonlyMap<string, Float32Array>, theta = 10000): Record<string, unknown> {
  const base = optional(meta, `${arch}.rope.freq_base`) ?? theta
  return { rope_theta: base, rope_scaling: scalingOf(meta, arch, base, folded.get(ROPE_DIVISORS)) }
}

function scalingOf(meta: Metadata, arch: string, theta: number, divisors: Float32Array | undefined): Record<string, unknown> | null {
  if (divisors) {
    const scaling = llama3Scaling(divisors, theta)
    if (scaling) return scaling
    throw new AttuneError('ERR_UNSUPPORTED', `${meta.file}: tensor ${ROPE_DIVISORS}: these divisors are not Llama 3's rope scaling`, {
      file: meta.file,
      tensor: ROPE_DIVISORS,
    })
  }
  const key = `${arch}.rope.scaling.type`
  const type = meta.string(key) ?? (meta.get(`${arch}.rope.scale_linear`) === undefined ? 'none' : 'linear')
  const factor = optional(meta, `${arch}.rope.scaling.factor`) ?? optional(meta, `${arch}.rope.scale_linear`)
  const original = meta.number(`${arch}.rope.scaling.original_context_length`)
  if (type === 'none' || factor === undefined) return null
  if (type === 'linear') return { rope_type: 'linear', factor }
  if (type === 'yarn')
    return { rope_type: 'yarn', factor, ...(original === undefined ? {} : { original_max_position_embeddings: original }) }
  throw new AttuneError('ERR_UNSUPPORTED', `${meta.file}: ${key} ${type} is not read`, { file: meta.file, key, type })
}

/** Rotary settings of config.json in the style of transformers 5 (`rope_parameters`, perhaps per kind of layer) or 4. */
export function ropeSettings(config: Config, layers = 'full_attention'): { theta?: number; scaling: Record<string, unknown> } {
  const modern = config.rope_parameters as Record<string, unknown> | undefined
  const own = (modern?.[layers] ?? modern) as Record<string, unknown> | undefined
  const { rope_theta, rope_type, type, ...scaling } = { ...((config.rope_scaling as object | null) ?? {}), ...own } as Record<
    string,
    unknown
  >
  const kind = rope_type ?? type ?? 'default'
  return { theta: (rope_theta ?? config.rope_theta) as number | undefined, scaling: { ...scaling, rope_type: kind } }
}

/** The other way. Llama 3's scaling becomes a tensor (`llama3Tensor`). Errors: `ERR_UNSUPPORTED`. */
export function ropeFields(arch: string, { theta = 10000, scaling }: ReturnType<typeof ropeSettings>): Field[] {
  const base: Field[] = [[`${arch}.rope.freq_base`, 'f32', theta]]
  const { rope_type: type, factor, original_max_position_embeddings: original } = scaling
  if (type === 'default' || type === 'llama3') return base
  if ((type !== 'linear' && type !== 'yarn') || typeof factor !== 'number')
    throw new AttuneError('ERR_UNSUPPORTED', `rope scaling ${JSON.stringify(scaling)} cannot be written as GGUF`, { scaling })
  return [
    ...base,
    [`${arch}.rope.scaling.type`, 'string', type],
    [`${arch}.rope.scaling.factor`, 'f32', factor],
    ...(typeof original === 'number' ? ([[`${arch}.rope.scaling.original_context_length`, 'u32', original]] as const) : []),
  ]
}

/** Llama 3's divisors as a tensor; none where the config scales otherwise. */
export function llama3Tensor(config: Config): { name: string; values: Float32Array }[] {
  const { theta = 10000, scaling } = ropeSettings(config)
  if (scaling.rope_type !== 'llama3') return []
  return [{ name: ROPE_DIVISORS, values: llama3Divisors(scaling as never, theta, headDim(config)) }]
}
