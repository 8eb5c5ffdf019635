/** Data with the keys of its objects in order; a key without a value is as if it were not there. */
export function sorted(x: unknown): unknown {
  if (Array.isArray(x)) return x.map(sorted)
  if (typeof x !== 'object' || x === null) return x
  return Object.fromEntries(
    Object.entries(x)
      .filter(([, v]) => v !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([k, v]) => [k, sorted(v)]),
  )
}
export const sameData = (a: unknown, b: unknown): boolean => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b))
