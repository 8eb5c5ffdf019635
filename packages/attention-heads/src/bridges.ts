import type { Bridge } from '@attune/attention'
import { aligned } from './bridge-aligned.ts'
import { leastSquares } from './bridge-least-squares.ts'
import { mean } from './bridge-mean.ts'
import { bridgesFor } from './bridge-parts.ts'
import { repeat } from './bridge-repeat.ts'

const merging = [
  ['mha', 'gqa'],
  ['mha', 'mqa'],
  ['gqa', 'gqa'],
  ['gqa', 'mqa'],
] as const
const copying = [...merging, ['gqa', 'mha'], ['mqa', 'gqa'], ['mqa', 'mha']] as const

/** Conversions between the variants that differ only in how query heads share keys and values. */
export const headBridges: readonly Bridge[] = [
  ...bridgesFor(repeat, copying),
  ...[leastSquares, aligned, mean].flatMap(method => bridgesFor(method, merging)),
]
