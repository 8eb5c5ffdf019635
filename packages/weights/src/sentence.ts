import { AttuneError } from '@attune/tensor'
import { formatError } from './error.ts'
import { jsonOf } from './json.ts'

/** What files beside a sentence encoder say of its embeddings. */
export interface SentenceSettings {
  readonly pooling?: 'mean' | 'cls' | 'max'
  readonly normalise?: boolean
  /** Longest text in tokens, special ones included. */
  readonly maxTokens?: number
}

export const POOLING_FILE = '1_Pooling/config.json'
export const MODULES_FILE = 'modules.json'
export const LENGTH_FILE = 'sentence_bert_config.json'
const MODES = { pooling_mode_mean_tokens: 'mean', pooling_mode_cls_token: 'cls', pooling_mode_max_tokens: 'max' } as const
const STEPS = ['Transformer', 'Pooling', 'Normalize']

/**
 * The settings of a `sentence-transformers` folder, from its files' texts. Errors: `ERR_UNSUPPORTED` for steps or poolings other than mean,
 * first token or maximum, then normalisation; `ERR_FORMAT`.
 */
export function sentenceSettings(files: Readonly<Record<string, string | undefined>>): SentenceSettings | undefined {
  const { [POOLING_FILE]: pooling, [MODULES_FILE]: modules, [LENGTH_FILE]: length } = files
  if (pooling === undefined && modules === undefined) return undefined
  const maxTokens = length === undefined ? undefined : (jsonOf(LENGTH_FILE, length) as { max_seq_length?: unknown })?.max_seq_length
  return {
    ...(pooling === undefined ? {} : { pooling: poolingOf(jsonOf(POOLING_FILE, pooling)) }),
    ...(modules === undefined ? {} : { normalise: normalises(jsonOf(MODULES_FILE, modules)) }),
    ...(typeof maxTokens === 'number' && Number.isInteger(maxTokens) && maxTokens > 0 ? { maxTokens } : {}),
  }
}

function poolingOf(config: unknown): 'mean' | 'cls' | 'max' {
  const asked = Object.entries((config ?? {}) as object).flatMap(([key, on]) =>
    key.startsWith('pooling_mode_') && on === true ? [key] : [],
  )
  const mode = asked.length === 1 ? MODES[asked[0] as keyof typeof MODES] : undefined
  if (!mode)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      `${POOLING_FILE}: pooling ${asked.join(' and ') || 'by none'} is not supported, only one of ${Object.keys(MODES).join(', ')}`,
      {
        file: POOLING_FILE,
        asked,
      },
    )
  return mode
}

function normalises(modules: unknown): boolean {
  if (!Array.isArray(modules)) throw formatError(MODULES_FILE, 'JSON', 0, 'not a list')
  const steps = modules.map(
    m =>
      String((m as { type?: unknown } | null)?.type)
        .split('.')
        .at(-1)!,
  )
  const other = steps.find(s => !STEPS.includes(s))
  if (other !== undefined)
    throw new AttuneError('ERR_UNSUPPORTED', `${MODULES_FILE}: step '${other}' is not supported, only ${STEPS.join(', ')}`, {
      file: MODULES_FILE,
      step: other,
    })
  return steps.includes('Normalize')
}
