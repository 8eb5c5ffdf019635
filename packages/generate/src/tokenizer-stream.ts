/** Turns ids into text as they come. The pieces joined are the text of all ids. */
export interface TextStream {
  /** Text that became certain with this id; may be empty. */
  push(id: number): string
  /** What is still held back. */
  end(): string
}

const UNFINISHED = '\ufffd'
const LONGEST_WINDOW = 64
const LONGEST_CHARACTER = 4 // bytes of UTF-8, so at most this many tokens

/**
 * Decodes a window of ids twice, with and without the newest: the difference is new text. Half a character stays back until its last byte came;
 * with `whole: 'words'` also the word still being written.
 */
export function textStream(decode: (ids: number[]) => string, whole: 'characters' | 'words'): TextStream {
  let ids: number[] = []
  let settled = 0 // ids of the window whose text was released
  let before = '' // that text
  let word = ''

  const release = (final: boolean): string => {
    const text = decode(ids)
    const waiting = text.endsWith(UNFINISHED) && ids.length - settled < LONGEST_CHARACTER
    if (!final && waiting) return ''
    const fresh = text.startsWith(before) ? text.slice(before.length) : text.slice(commonPrefix(before, text))
    const newest = ids.slice(settled)
    const tail = decode(newest)
    const enough = tail !== '' || ids.length > LONGEST_WINDOW // the next token's text may depend on the last text, not on all of it
    if (enough) ids = newest
    before = enough ? tail : text
    settled = ids.length
    return fresh
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
      before = ''
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
