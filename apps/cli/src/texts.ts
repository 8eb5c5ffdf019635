import { readFile } from 'node:fs/promises'
import type { Tokenizer } from '@attune/generate'
import { AttuneError } from '@attune/tensor'
import { asset } from './assets.ts'

/** Token ids to calibrate on, and windows of other text to measure on. */
export interface Texts {
  readonly calibration: number[]
  readonly held: readonly number[][]
}

/** Longest parts, for tokenizers that cut finely. */
const MOST = { calibration: 4096, window: 1024 }

/**
 * Cuts a text (the built-in passage of Newton's Opticks by default): its first half calibrates, an eighth from the middle and an eighth
 * from three quarters on are held out. The built-in text has 4,096 tokens in SmolLM2's vocabulary: 2,048 and twice 512.
 */
export async function textsFor(tokenizer: Tokenizer, maxPositions: number, file = asset('opticks.txt')): Promise<Texts> {
  const ids = tokenizer.encode(await readFile(file, 'utf8'), { special: false })
  const eighth = Math.floor(ids.length / 8)
  if (eighth < 2)
    throw new AttuneError('ERR_ARGUMENT', `${file} has ${ids.length} tokens, too few to calibrate and measure on (16 at least)`, {
      file,
      tokens: ids.length,
    })
  const window = Math.min(eighth, MOST.window, maxPositions)
  return {
    calibration: ids.slice(0, Math.min(4 * eighth, MOST.calibration)),
    held: [4, 6].map(at => ids.slice(at * eighth, at * eighth + window)),
  }
}
