type Json = Readonly<Record<string, unknown>>

/**
 * Rewrites parts of tokenizer.json that `@huggingface/tokenizers` reads otherwise than the Rust library into ones it reads the same.
 * `Digits` means every numeric character there (½ ² ٣), only 0 to 9 in JavaScript; `\s` has U+0085 there and U+FEFF here.
 */
export function repaired(tokenizerJson: Json): Json {
  return { ...tokenizerJson, pre_tokenizer: preTokenizer(tokenizerJson.pre_tokenizer as Json | null) }
}

const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

function preTokenizer(part: Json | null | undefined): unknown {
  if (!part) return null
  if (Array.isArray(part.pretokenizers)) return { ...part, pretokenizers: part.pretokenizers.map(preTokenizer) }
  if (part.type === 'Digits') return split(part.individual_digits ? '\\p{N}' : '\\p{N}+')
  if (part.type === 'ByteLevel' && part.use_regex !== false && !part.add_prefix_space)
    return { type: 'Sequence', pretokenizers: [split(GPT2), { ...part, use_regex: false }] }
  const { Regex } = (part.pattern ?? {}) as { Regex?: string }
  return part.type === 'Split' && Regex ? { ...part, pattern: { Regex: unicodeSpace(Regex) } } : part
}

const split = (regex: string) => ({ type: 'Split', pattern: { Regex: unicodeSpace(regex) }, behavior: 'Isolated', invert: false })

const unicodeSpace = (regex: string): string =>
  regex.replace(/\\(.)/gs, (whole, c) => (c === 's' ? '\\p{White_Space}' : c === 'S' ? '\\P{White_Space}' : whole))
