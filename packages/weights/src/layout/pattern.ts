import { AttuneError } from '@attune/tensor'

/** What the holes of a pattern stand for in one name. */
export type Holes = Readonly<Record<string, string>>

/**
 * A name with holes: `{i}` is a number, `{weight|bias}` one of the words, `{e*}` a number that runs over 0, 1, 2 … inside one rule
 * (experts, say), `{**}` anything.
 */
export interface Pattern {
  readonly text: string
  /** Name of the running hole, if there is one. */
  readonly running?: string
  match(name: string): Holes | undefined
  fill(holes: Holes): string
}

export function pattern(text: string): Pattern {
  const pieces = text.split(/\{([^}]*)\}/) // plain, hole, plain, hole, … plain
  const holes = pieces.filter((_, i) => i % 2 === 1)
  const running = holes.filter(h => h.endsWith('*') && h !== '**')
  if (new Set(holes).size !== holes.length || running.length > 1)
    throw new AttuneError('ERR_ARGUMENT', `pattern ${text} repeats a hole or has two running ones`, { pattern: text })
  const source = pieces.map((piece, i) =>
    i % 2 === 0
      ? escaped(piece)
      : piece === '**'
        ? '(.+)'
        : piece.includes('|')
          ? `(${piece.split('|').map(escaped).join('|')})`
          : '(0|[1-9]\\d*)',
  )
  const regex = new RegExp(`^${source.join('')}$`)
  return {
    text,
    running: running[0],
    match(name) {
      const found = regex.exec(name)
      return found ? Object.fromEntries(holes.map((hole, i) => [hole, found[i + 1]])) : undefined
    },
    fill: values => pieces.map((piece, i) => (i % 2 === 0 ? piece : values[piece])).join(''),
  }
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
