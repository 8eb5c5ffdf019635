/** A tokenizer.json whose 256 tokens are the bytes, id = byte, spelled as GPT-2 spells them. */
export function byteTokenizer(): Record<string, unknown> {
  const vocab: Record<string, number> = {}
  let unprintable = 256
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174
    vocab[String.fromCodePoint(printable ? byte : unprintable++)] = byte
  }
  return {
    added_tokens: [],
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    model: { type: 'BPE', vocab, merges: [] },
  }
}
