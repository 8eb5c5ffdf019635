const BASE = 1000003

/**
 * Every way a piece is made of two others, best pieces first; of equals the longer left part first, then the lower ids: the merges that
 * SentencePiece's scores stand for. `skip` says which tokens are no pieces. Vocabularies have hundreds of thousands of pieces: parts are
 * looked up by rolling hashes, so that no string is cut that is not there.
 */
export function mergesFromScores(tokens: readonly string[], scores: ArrayLike<number>, skip: (id: number) => boolean): [string, string][] {
  const find = finder(tokens, skip)
  const ways: Way[] = []
  const hashes: number[] = []
  const byScore = Array.from(tokens, (_, id) => id).filter(id => !skip(id) && tokens[id].length > 1)
  byScore.sort((a, b) => scores[b] - scores[a] || a - b)
  for (const id of byScore) {
    const piece = tokens[id]
    let hash = 0
    for (let i = 0; i < piece.length; i++) hashes[i] = hash = (Math.imul(hash, BASE) + piece.charCodeAt(i)) | 0
    let suffix = 0
    let power = 1
    for (let at = piece.length - 1, right = 0; at > 0; at--) {
      const unit = piece.charCodeAt(at)
      suffix = (Math.imul(unit, power) + suffix) | 0
      power = Math.imul(power, BASE)
      if (unit >= 0xdc00 && unit < 0xe000) continue // the second half of a character
      right++
      const first = find(hashes[at - 1], part => part.length === at && piece.startsWith(part))
      const second = first < 0 ? -1 : find(suffix, part => part.length === piece.length - at && piece.endsWith(part))
      if (second >= 0) ways.push({ id, score: scores[id], first, second, right, left: characters(piece, at) })
    }
  }
  return ways.sort(better).map(({ first, second }) => [tokens[first], tokens[second]])
}

interface Way {
  readonly id: number
  readonly score: number
  /** Ids of the parts. */
  readonly first: number
  readonly second: number
  /** Their lengths in characters. */
  readonly left: number
  readonly right: number
}

const better = (a: Way, b: Way): number =>
  b.score - a.score || b.left - a.left || b.right - a.right || a.id - b.id || a.first - b.first || a.second - b.second

function characters(text: string, end: number): number {
  let n = 0
  for (let i = 0; i < end; i++) if ((text.charCodeAt(i) & 0xfc00) !== 0xdc00) n++
  return n
}

/** Tokens by hash, in an open table: the id of one with this hash that `is` it, or −1. */
function finder(tokens: readonly string[], skip: (id: number) => boolean): (hash: number, is: (token: string) => boolean) => number {
  const size = 2 ** Math.ceil(Math.log2(2 * tokens.length + 2))
  const slots = new Int32Array(size).fill(-1)
  const hashes = new Int32Array(tokens.length)
  const slotOf = (hash: number) => Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 0
  for (let id = 0; id < tokens.length; id++) {
    if (skip(id)) continue
    let hash = 0
    for (let i = 0; i < tokens[id].length; i++) hash = (Math.imul(hash, BASE) + tokens[id].charCodeAt(i)) | 0
    hashes[id] = hash
    let slot = slotOf(hash) % size
    while (slots[slot] >= 0) slot = (slot + 1) % size
    slots[slot] = id
  }
  return (hash, is) => {
    for (let slot = slotOf(hash) % size; slots[slot] >= 0; slot = (slot + 1) % size)
      if (hashes[slots[slot]] === hash && is(tokens[slots[slot]])) return slots[slot]
    return -1
  }
}
