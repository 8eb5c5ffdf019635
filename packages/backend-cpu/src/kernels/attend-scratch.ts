import type { AttendAttrs } from '@attune/ops'
import type { AttendViews } from './attend-operands.ts'
import { type AttendPrograms, programSize } from './attend-programs.ts'

// Sizes of native/tile.h, attend-args.h, attend-block.h and attend-wide.h.
const BLOCK_KEYS = 64
const WIDE_KEYS = 256
const WINDOW = 4096
const BLOCK_GRANULES = WINDOW / 16
const WIDE_GRANULES = WINDOW / 64
const UNIFORM = 16
const MAX_GROUP = 8
const FEW_TOKENS = 4
const LANES = [8, 16, 32] // queries of a block: two vectors

/** Query heads that read the same key and value heads, by the same list of blocks, are worked on together. */
export interface HeadGroups {
  /** [groups, 0, 0, 0], then (key head, value head, list of blocks, first, count) per group, then the heads. */
  readonly data: Int32Array
  /** Heads of the groups. */
  readonly counts: readonly number[]
}

/** `listed`: each query head has a list of blocks of its own. */
export function groupHeads({ keyHeads, valueHeads }: AttendAttrs, listed = false): HeadGroups {
  const byPair = new Map<string, number[]>()
  keyHeads.forEach((key, h) => {
    const pair = listed ? String(h) : `${key} ${valueHeads[h]}`
    byPair.set(pair, [...(byPair.get(pair) ?? []), h])
  })
  const groups = [...byPair.values()].flatMap(split)
  const heads = groups.flat()
  let first = 0
  const rows = groups.flatMap(g => {
    first += g.length
    return [keyHeads[g[0]], valueHeads[g[0]], listed ? g[0] : keyHeads[g[0]], first - g.length, g.length]
  })
  return { data: Int32Array.from([groups.length, 0, 0, 0, ...rows, ...heads]), counts: groups.map(g => g.length) }
}

/** Into as few equal parts as keep each at most MAX_GROUP. */
function split(heads: number[]): number[][] {
  const parts = Math.ceil(heads.length / MAX_GROUP)
  const size = Math.ceil(heads.length / parts)
  return Array.from({ length: parts }, (_, i) => heads.slice(i * size, (i + 1) * size)).filter(p => p.length > 0)
}

/** Bytes of scratch memory a thread may need, whatever the instruction set: what BlockPass and WidePass take. */
export function scratchBytes({ dK, dV }: AttendViews, { counts }: HeadGroups, { score, mask }: AttendPrograms): number {
  const sizes = [programSize(score), programSize(mask)]
  const intervals = (granules: number): number => 2 * granules * sizes[1].instructions
  const frame = (perShape: readonly number[]): number =>
    sizes.reduce((sum, { slots }) => sum + slots.reduce((s, n, shape) => s + n * perShape[shape], 0), 0)
  const tiles = BLOCK_KEYS * (dK + dV)

  const block = LANES.flatMap(lanes =>
    counts.map(count => {
      const queryBlocks = Math.max(1, Math.floor(Math.min(12 / count, 65536 / ((dK + dV) * lanes * count))))
      const perTile = (BLOCK_KEYS + 1) * lanes + 2 * BLOCK_KEYS + 4 * BLOCK_GRANULES + intervals(BLOCK_GRANULES) + tiles
      const perBlock = (dK + dV + 2) * lanes + frame([UNIFORM, lanes, 0, 0, 0]) + BLOCK_GRANULES / 4
      const frames = frame([0, 0, BLOCK_KEYS, BLOCK_KEYS + lanes, BLOCK_KEYS * lanes])
      return perTile + frames + queryBlocks * 2 * lanes + queryBlocks * count * perBlock
    }),
  )
  const wide = counts.map(count => {
    const pairs = FEW_TOKENS * count
    const perPair = dK + dV + WIDE_KEYS + 5 + WIDE_GRANULES / 4
    const frames = frame([UNIFORM, UNIFORM, WIDE_KEYS, WIDE_KEYS, WIDE_KEYS])
    return pairs * perPair + 2 * WIDE_KEYS + 4 * WIDE_GRANULES + intervals(WIDE_GRANULES) + tiles + frames
  })
  const alignment = 64 * 128 // at most 128 pieces
  return 4 * Math.max(...block, ...wide) + alignment
}
