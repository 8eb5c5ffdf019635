import type { Definition } from '@attune/models'
import { AttuneError } from '@attune/tensor'

/** Refuses a config that would read back as another model, by what differs first. */
export function sameSpec(
  definition: Definition<unknown>,
  config: Record<string, unknown>,
  told: Record<string, unknown>,
  tensors: { has(name: string): boolean },
): void {
  const found = difference(definition.spec(config, tensors), definition.spec(told, tensors), '')
  if (found)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `GGUF cannot say this of a ${definition.type}: ${found.path} ${JSON.stringify(found.a)} would become ${JSON.stringify(found.b)}`,
      {
        ...found,
      },
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
  if (typeof a !== 'object' || typeof b !== 'object' || !a || !b) return a === b ? undefined : { path, a, b }
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>]
  for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
    const found = difference(left[key], right[key], path === '' ? key : `${path}.${key}`)
    if (found) return found
  }
  return undefined
}
