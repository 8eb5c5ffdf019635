import type { Io } from '../io.ts'
import type { Paint } from '../paint.ts'
import type { Display } from './side-by-side.ts'
import { wrap } from './wrap.ts'

const GAP = 3

/** Texts beside each other on a terminal, drawn anew as they grow. */
export function columns(io: Io, paint: Paint, labels: readonly string[]): Display {
  const width = Math.max(12, Math.floor((Math.min(io.columns, 160) - GAP * (labels.length - 1) - 1) / labels.length))
  const texts = labels.map(() => '')
  let drawn = 0
  const line = (cells: readonly string[]) =>
    cells
      .map(c => c + ' '.repeat(Math.max(0, width - [...c].length)))
      .join(' '.repeat(GAP))
      .trimEnd()
  io.out(`${paint.bold(line(labels))}\n${line(labels.map(() => '─'.repeat(width)))}\n`)
  return {
    push(index, text) {
      texts[index] += text
      const cells = texts.map(t => wrap(t, width))
      const rows = Math.max(...cells.map(c => c.length))
      const lines = Array.from({ length: rows }, (_, r) => `\x1b[2K${line(cells.map(c => c[r] ?? ''))}\n`)
      io.out(`${drawn > 0 ? `\x1b[${drawn}A` : ''}${lines.join('')}`)
      drawn = rows
    },
    end: () => io.out('\n'),
  }
}
