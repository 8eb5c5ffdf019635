import type { Metadata } from './metadata.ts'
import { type Vocabulary, vocabularyIds } from './tokenizer-bpe.ts'

const SPACE = '▁'

/** SentencePiece BPE ("llama" in GGUF): pieces have scores, from which the merges follow; unknown characters fall back to bytes. */
export function sentencePieceBpe(meta: Metadata, vocabulary: Vocabulary): Record<string, unknown> {
  const prefix = meta.boolean('tokenizer.ggml.add_space_prefix') ?? true
  const spaces = { type: 'Replace', pattern: { String: ' ' }, content: SPACE }
  const ids = vocabularyIds(meta, vocabulary.tokens)
  return {
    normalizer: { type: 'Sequence', normalizers: [...(prefix ? [{ type: 'Prepend', prepend: SPACE }] : []), spaces] },
    pre_tokenizer: null,
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: SPACE }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        ...(prefix ? [{ type: 'Strip', content: ' ', start: 1, stop: 0 }] : []),
      ],
    },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: vocabulary.tokens[meta.number('tokenizer.ggml.unknown_token_id') ?? 0],
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab: Object.fromEntries(ids),
      merges: mergesOf(ids, scoresOf(meta, vocabulary), new Set(vocabulary.added.map(t => t.content))),
    },
  }
}

function scoresOf(meta: Metadata, { tokens }: Vocabulary): ArrayLike<number> {
  const key = 'tokenizer.ggml.scores'
  const scores = meta.require(meta.numbers(key), key)
  if (scores.length !== tokens.length) throw meta.wrong(key, `${scores.length} entries for ${tokens.length} tokens`)
  return scores
}

/** Every way a piece is made of two others, best pieces first; of equals the longer left part first, then the lower ids. */
function mergesOf(ids: ReadonlyMap<string, number>, scores: ArrayLike<number>, added: ReadonlySet<string>): [string, string][] {
  const ways: { left: string; right: string; score: number; leftLength: number; rightLength: number }[] = []
  for (const [piece, id] of ids) {
    if (added.has(piece)) continue
    const characters = [...piece]
    const found: typeof ways = []
    for (let i = 1, at = 0; i < characters.length; i++) {
      at += characters[i - 1].length
      const [left, right] = [piece.slice(0, at), piece.slice(at)]
      if (ids.has(left) && ids.has(right) && !added.has(left) && !added.has(right))
        found.push({ left, right, score: scores[id], leftLength: i, rightLength: characters.length - i })
    }
    ways.push(...found.sort((a, b) => ids.get(a.left)! - ids.get(b.left)! || ids.get(a.right)! - ids.get(b.right)!))
  }
  ways.sort((a, b) => b.score - a.score || b.leftLength - a.leftLength || b.rightLength - a.rightLength)
  return ways.map(({ left, right }) => [left, right])
}
