import type { Message } from '@attune/generate'
import type { LoadedModel } from '@attune/kit'
import type { Context } from '../context.ts'
import { columns } from './columns.ts'
import { labelledLines } from './labelled-lines.ts'

export interface Speaker {
  readonly label: string
  readonly model: LoadedModel
}
/** Shows several texts that grow at once. */
export interface Display {
  push(index: number, text: string): void
  end(): void
}

/** Lets all continue the same prompt greedily, a token each in turn; gives their texts. */
export async function sideBySide(
  context: Context,
  speakers: readonly Speaker[],
  prompt: string | readonly Message[],
  maxTokens: number,
): Promise<string[]> {
  const { io } = context
  const labels = speakers.map(s => s.label)
  const display = context.json ? silent : io.stdoutIsTty ? columns(io, context.paint, labels) : labelledLines(io, labels)
  const streams = speakers.map(s => s.model.generate(prompt, { maxTokens, signal: io.signal }))
  const texts = speakers.map(() => '')
  const open = new Set(speakers.keys())
  try {
    while (open.size > 0)
      for (const i of open) {
        const { done, value } = await streams[i].next()
        if (done) open.delete(i)
        else {
          const shown = texts[i] ? value.text : value.text.trimStart()
          texts[i] += shown
          display.push(i, shown)
        }
      }
  } finally {
    display.end()
    for (const s of streams) await s.return('stop').catch(() => {})
  }
  return texts
}

const silent: Display = { push() {}, end() {} }
