import { readFileSync } from 'node:fs'
import { TILE_HEADER, TILE_INSTRUCTION, TILE_OPS, TILE_SHAPES } from '@attune/expr'
import { expect, it } from 'vitest'

const source = readFileSync(new URL('../../native/tile.h', import.meta.url), 'utf8')
const list = (pattern: RegExp): string[] => pattern.exec(source)![1].split(',').map(x => x.trim().split(' ').pop()!) // biome-ignore format: one line

it('numbers shapes and instructions as the kernels do', () => {
  const plain = (name: string): string => name.toLowerCase().replace('.', '')
  expect(list(/enum TileShape \{([^}]+)\}/).map(plain)).toEqual(TILE_SHAPES)
  expect(list(/enum TileOp \{([^}]+)\}/).map(x => plain(x.slice(2)))).toEqual(TILE_OPS.map(plain))
  expect(list(/struct TileInstruction \{ ([^;]+);/)).toHaveLength(TILE_INSTRUCTION)
  expect(/struct TileHeader \{ int32_t count, slots\[5\], byHead, unused; \}/.test(source)).toBe(true)
  expect(TILE_HEADER).toBe(8)
})
