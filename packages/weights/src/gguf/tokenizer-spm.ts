import { mergesFromScores } from './merges.ts'
import type { Metadata } from './metadata.ts'
import { type Vocabulary, vocabularyIds } from './tokenizer-bpe.ts'

const SPACE = '▁'

/** SentencePiece BPE ("llama" in GGUF): pieces have scores, from which the merges follow; unknown characters fall back to bytes. */
export function sentencePieceBpe(meta: Metadata, vocabulary: Vocabulary): Record<string, unknown> {
  const prefix = meta.boolean('tokenizer.ggml.add_space_prefix') ?? true
  const spaces = { type: 'Replace', pattern: { String: ' ' }, content: SPACE }
  const ids = vocabularyIds(meta, vocabulary.tokens)
  const added = new Set(vocabulary.added.map(t => t.id))
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
      merges: mergesFromScores(vocabulary.tokens, scoresOf(meta, vocabulary), id => added.has(id)),
    },
  }
}

function scoresOf(meta: Metadata, { tokens }: Vocabulary): ArrayLike<number> {
  const key = 'tokenizer.ggml.scores'
  const scores = meta.require(meta.numbers(key), key)
  if (scores.length !== tokens.length) throw meta.wrong(key, `${scores.length} entries for ${tokens.length} tokens`)
  return scores
}
