import { type Definition, specOf } from '@attune/models'
import { AttuneError } from '@attune/tensor'

/**
 * Refuses a config that would read back from a GGUF as another model, by what differs first. The model type may have another name if it
 * computes the same; of a type that `definitions` lack nothing is compared. Errors: `ERR_UNSUPPORTED`.
 */
export function sameSpec(
  definitions: readonly Definition<unknown>[],
  config: Readonly<Record<string, unknown>>,
  told: Readonly<Record<string, unknown>>,
  tensors: { has(name: string): boolean },
): void {
  const spec = (json: Readonly<Record<string, unknown>>): object | undefined => {
    const definition = definitions.find(d => d.type === json.model_type)
    return definition && { ...(specOf(definition, { config: json, tensors }, () => {}) as object), type: undefined }
  }
  const [own, read] = [spec(config), spec(told)]
  const found = own && read && difference(own, read, '')
  if (found)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `GGUF cannot say this of a ${config.model_type}: ${found.path} ${JSON.stringify(found.a)} would become ${JSON.stringify(found.b)}`,
      { ...found },
    )
}

interface Difference {
  readonly path: string
  readonly a: unknown
  readonly b: unknown
}

/** The first place where two plain values differ by more than the rounding of an f32. */
function difference(a: unknown, b: unknown, path: string): Difference | undefined {
  if (typeof a === 'number' && typeof b === 'number')
    return Math.abs(a - b) <= 1e-6 * Math.max(Math.abs(a), Math.abs(b)) ? undefined : { path, a, b }
  if (!a && !b && typeof a !== 'number' && typeof b !== 'number') return undefined // left out, null and false say the same
  if (typeof a !== 'object' || typeof b !== 'object' || !a || !b) return a === b ? undefined : { path, a, b }
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>]
  for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
    const found = difference(left[key], right[key], path === '' ? key : `${path}.${key}`)
    if (found) return found
  }
  return undefined
}
