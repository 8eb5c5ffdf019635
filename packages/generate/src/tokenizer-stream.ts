/** Turns ids into text as they come. The pieces joined are the text of all ids. */
export interface TextStream {
  /** Text that became certain with this id; may be empty. */
  push(id: number): string
  /** What is still held back. */
  end(): string
}

const UNFINISHED = '\ufffd'
const LONGEST_CHARACTER = 4 // bytes of UTF-8, so at most this many tokens

/**
 * Decodes a window of ids twice, with and without the newest: the difference is new text. Half a character stays back until its last byte came;
 * with `whole: 'words'` also the word still being written.
 */
export function textStream(decode: (ids: number[]) => string, whole: 'characters' | 'words'): TextStream {
  let ids: number[] = []
  let settled = 0 // ids of the window whose text was released
  let word = ''

  const release = (final: boolean): string => {
    const before = decode(ids.slice(0, settled))
    const text = decode(ids)
    const waiting = text.endsWith(UNFINISHED) && ids.length - settled < LONGEST_CHARACTER
    if (!final && waiting) return ''
    ids = ids.slice(settled) // the window keeps the last ids: the next token's text may depend on them
    settled = ids.length
    return text.startsWith(before) ? text.slice(before.length) : text.slice(commonPrefix(before, text))
  }
  const cut = (text: string): string => {
    if (whole === 'characters') return text
    word += text
    const end = word.search(/\s\S*$/)
    const ready = word.slice(0, end + 1)
    word = word.slice(end + 1)
    return ready
  }
  return {
    push(id) {
      ids.push(id)
      return cut(release(false))
    },
    end() {
      const rest = word + (ids.length > settled ? release(true) : '')
      ids = []
      settled = 0
      word = ''
      return rest
    },
  }
}

function commonPrefix(a: string, b: string): number {
  let n = 0
  while (n < a.length && a[n] === b[n]) n++
  return n
}
