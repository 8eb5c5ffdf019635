import type { GenerateOptions } from '@attune/generate'
import type { Command } from 'commander'
import { finite, positive } from './numbers.ts'

/** Flags of everything that generates. */
export const addSampling = (c: Command, maxTokens = 128): Command =>
  c
    .option('-n, --max-tokens <n>', 'most new tokens', positive, maxTokens)
    .option('--temperature <t>', '0 takes the likeliest token', finite, 0)
    .option('--top-k <k>', 'only the k likeliest (0: all)', finite, 0)
    .option('--top-p <p>', 'only the likeliest that reach this probability together', finite, 1)
    .option('--min-p <p>', 'only tokens at least this fraction as likely as the likeliest', finite, 0)
    .option('--repetition-penalty <x>', 'above 1: recent tokens become less likely', finite, 1)
    .option('--seed <n>', 'seed of the draw', finite, 0)
    .option('--stop <text...>', 'texts that end the answer')

export const samplingOf = (o: Record<string, any>): GenerateOptions => ({
  maxTokens: o.maxTokens,
  temperature: o.temperature,
  topK: o.topK,
  topP: o.topP,
  minP: o.minP,
  repetitionPenalty: o.repetitionPenalty,
  seed: o.seed,
  stop: o.stop,
})
