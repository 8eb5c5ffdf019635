import { addCache, cacheOf } from '../cache-flags.ts'
import { ChatTurns } from '../chat-turns.ts'
import type { CliCommand } from '../command.ts'
import { DEFAULT_MODEL } from '../context.ts'
import { inputLines } from '../lines.ts'
import { addSampling, samplingOf } from '../sampling-flags.ts'

const HELP = '/reset forgets the conversation, /exit (or Ctrl-D) leaves'

export const chat: CliCommand = {
  name: 'chat',
  summary: 'Talk with a chat model, several turns. Reads lines from a pipe as well.',
  define: c =>
    addSampling(
      addCache(c).argument('[model]', 'hub id, folder, .gguf or .safetensors', DEFAULT_MODEL).option('--system <text>', 'system message'),
      512,
    ).addHelpText('after', `\nEvery line is one message. ${HELP}.`),
  async run(context, [ref = DEFAULT_MODEL], options) {
    const { io } = context
    const model = await context.load(ref, cacheOf(options))
    model.chatTemplate // refuses at once where there is none
    const chat = new ChatTurns(model, options.system)
    const asks = io.stdin.isTTY === true && io.stderrIsTty
    const ask = () => asks && io.err('\n› ')
    if (asks) context.progress.note(`${model.name} on ${model.device.name}. ${HELP}.`)
    ask()
    for await (const line of inputLines(io)) {
      const text = line.trim()
      if (text === '/exit') break
      if (text === '/reset') chat.reset()
      else if (text === '/help') io.err(`${HELP}\n`)
      else if (text) {
        for await (const piece of chat.say(text, { ...samplingOf(options), signal: io.signal })) if (!context.json) io.out(piece.text)
        if (!context.json) io.out('\n')
      }
      ask()
    }
    if (context.json) context.result({ model: model.name, device: model.device.name, messages: chat.messages }, () => '')
    chat.close()
    await model.dispose()
  },
}
