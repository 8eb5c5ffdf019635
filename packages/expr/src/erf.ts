/** The error function in float64, relative error near 1e-15: a series of positive terms (DLMF 7.6.2). */
export function erf(x: number): number {
  const t = Math.abs(x)
  if (t > 6) return Math.sign(x)
  let term = t
  let sum = t
  for (let n = 1; term > sum * 1e-17; n++) {
    term *= (2 * t * t) / (2 * n + 1)
    sum += term
  }
  return Math.sign(x) * Math.min(1, (2 / Math.sqrt(Math.PI)) * Math.exp(-t * t) * sum)
}
