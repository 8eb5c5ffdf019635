import type { Io } from '../io.ts'
import type { Display } from './side-by-side.ts'
import { wrap } from './wrap.ts'

const WIDTH = 72

/** Texts line by line, each line with its label, for logs and pipes. */
export function labelledLines(io: Io, labels: readonly string[]): Display {
  const held = labels.map(() => '')
  const widest = Math.max(...labels.map(l => l.length))
  const print = (i: number, lines: readonly string[]) => {
    for (const text of lines) io.out(`${labels[i].padEnd(widest)} │ ${text}\n`)
  }
  return {
    push(index, text) {
      const lines = wrap(held[index] + text, WIDTH)
      held[index] = lines.pop() ?? ''
      print(index, lines)
    },
    end: () => labels.forEach((_, i) => held[i] && print(i, [held[i]])),
  }
}
