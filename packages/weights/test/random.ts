/** Numbers from a seed, the same everywhere. */
export interface Random {
  below(n: number): number
  pick<T>(from: readonly T[]): T
  bytes(n: number): Uint8Array
}

/** mulberry32 */
export function randomOf(seed: number): Random {
  let state = (seed * 2654435761 + 1) | 0
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return (t ^ (t >>> 14)) >>> 0
  }
  const below = (n: number) => Math.floor((next() / 2 ** 32) * n)
  return { below, pick: from => from[below(from.length)], bytes: n => Uint8Array.from({ length: n }, () => next() & 255) }
}

/** Some bytes of [0, end) changed, moved or overwritten: what is left may still make sense. */
export function noise(good: Uint8Array, end: number, random: Random): Uint8Array {
  const bytes = good.slice()
  for (let i = 1 + random.below(4); i > 0; i--) {
    const at = random.below(end)
    const kind = random.below(5)
    if (kind === 0) bytes[at] = random.below(256)
    else if (kind === 1) bytes[at] ^= 1 << random.below(8)
    else if (kind === 2) bytes.fill(random.pick([0, 1, 0x7f, 0x80, 0xff]), at, at + 1 + random.below(8))
    else if (kind === 3) bytes.copyWithin(at, random.below(end), random.below(end))
    else bytes[at] = '0123456789-.eE,[]{}":'.charCodeAt(random.below(21))
  }
  return bytes
}
