import { InvalidArgumentError } from 'commander'

/** A whole number of at least 1, for options. */
export function positive(text: string): number {
  const n = Number(text)
  if (!Number.isInteger(n) || n < 1) throw new InvalidArgumentError('must be a whole number of at least 1')
  return n
}
/** Any finite number, for options. */
export function finite(text: string): number {
  const n = Number(text)
  if (text.trim() === '' || !Number.isFinite(n)) throw new InvalidArgumentError('must be a number')
  return n
}
