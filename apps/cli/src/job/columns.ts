import type { Io } from '../io.ts'
import type { Paint } from '../paint.ts'
import type { Display } from './side-by-side.ts'
import { wrap } from './wrap.ts'

const GAP = 3
/** Rows that are drawn anew: what scrolled off a low screen could not be. */
const MOVING = 16

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
  const draw = (from: (rows: number) => number) => {
    const cells = texts.map(t => wrap(t, width))
    const rows = Math.max(...cells.map(c => c.length))
    const lines: string[] = []
    for (let r = from(rows); r < rows; r++) lines.push(`\x1b[2K${line(cells.map(c => c[r] ?? ''))}\n`)
    io.out(`${drawn > 0 ? `\x1b[${drawn}A` : ''}${lines.join('')}`)
    drawn = lines.length
  }
  return {
    push(index, text) {
      texts[index] += text
      draw(rows => Math.max(0, rows - MOVING))
    },
    end() {
      draw(() => 0)
      io.out('\n')
    },
  }
}
