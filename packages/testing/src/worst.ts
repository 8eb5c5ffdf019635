/** Largest absolute difference; Infinity when lengths differ or anything is not a number. */
export function worst(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY
  let w = 0
  for (let i = 0; i < a.length; i++) w = Math.max(w, Number.isNaN(a[i]) ? Number.POSITIVE_INFINITY : Math.abs(a[i] - b[i]))
  return w
}
