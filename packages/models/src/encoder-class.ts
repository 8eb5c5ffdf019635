import { AttuneError } from '@attune/tensor'
import type { ConfigReader } from './config-reader.ts'

/** The one class the files were saved from, of those a model type knows. Errors: `ERR_UNSUPPORTED` for another. */
export function architectureOf<T extends string>(c: ConfigReader, known: readonly T[], otherwise: T): T {
  const given = c.raw('architectures') ?? [otherwise]
  const [own, ...more] = Array.isArray(given) ? given : []
  if (more.length === 0 && known.includes(own)) return own
  throw new AttuneError('ERR_UNSUPPORTED', `${c.file}: architectures ${JSON.stringify(given)} is not supported, only ${known.join(', ')}`, {
    architectures: given,
  })
}

/** Classes that a classifier tells apart: `num_labels`, else the words of `id2label`, else two. */
export const labelCount = (c: ConfigReader): number => c.count('num_labels', Object.keys(c.object('id2label') ?? { 0: 0, 1: 1 }).length)
