import { AttuneError } from '@attune/tensor'
import type { Definition, TensorNames } from './definition.ts'

type Json = Readonly<Record<string, unknown>>

/** Something of a checkpoint that its model type does not know: a config key by its path (`rope_parameters.x`), or a tensor. */
export interface Unknown {
  readonly kind: 'key' | 'tensor'
  readonly name: string
}

/**
 * The Spec of a config. Where `onUnknown` is given, keys that the model type does not know are told and left out; else they are an error,
 * as all else that is wrong.
 */
export function specOf<S>(
  definition: Pick<Definition<S>, 'spec'>,
  { config, tensors }: { readonly config: Json; readonly tensors?: TensorNames },
  onUnknown?: (unknown: Unknown) => void,
): S {
  for (let left = config; ; ) {
    try {
      return definition.spec(left, tensors)
    } catch (error) {
      const paths = onUnknown ? unknownKeys(error).filter(path => holds(left, path)) : []
      if (paths.length === 0) throw error
      for (const path of paths) {
        left = without(left, path)
        onUnknown!({ kind: 'key', name: path.join('.') })
      }
    }
  }
}

/** Paths of the keys that an error of reading a config is about, where they are unknown. */
const unknownKeys = (error: unknown): readonly (readonly string[])[] =>
  error instanceof AttuneError && Array.isArray(error.data?.unknown) ? error.data.unknown : []

const inside = (value: unknown, key: string): unknown => (typeof value === 'object' && value !== null ? (value as Json)[key] : undefined)
const holds = (config: Json, path: readonly string[]): boolean => path.reduce<unknown>(inside, config) !== undefined

function without(config: Json, [key, ...rest]: readonly string[]): Json {
  if (rest.length > 0) return { ...config, [key]: without(config[key] as Json, rest) }
  return Object.fromEntries(Object.entries(config).filter(([k]) => k !== key))
}
