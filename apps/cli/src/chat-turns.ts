import type { FinishReason, GenerateOptions, Message, Piece, Session } from '@attune/generate'
import type { LoadedModel } from '@attune/kit'

/** A templated conversation. What two turns' prompts share stays in the caches; only what is new is fed. */
export class ChatTurns {
  readonly messages: Message[] = []
  #session: Session
  constructor(
    readonly model: LoadedModel,
    readonly system?: string,
  ) {
    this.#session = model.session()
    this.reset()
  }
  /** Forgets everything but the system message. */
  reset(): void {
    this.messages.length = 0
    if (this.system !== undefined) this.messages.push({ role: 'system', content: this.system })
    this.#session.trim(0)
  }
  /** The answer to `content`, token by token; both join the conversation when the answer is whole. */
  async *say(content: string, options: GenerateOptions): AsyncGenerator<Piece, FinishReason> {
    const asked: Message[] = [...this.messages, { role: 'user', content }]
    const ids = this.model.tokenizer.encode(this.model.prompt(asked), { special: false })
    const past = this.#session.ids
    let shared = 0
    while (shared < past.length && shared < ids.length - 1 && past[shared] === ids[shared]) shared++
    this.#session.trim(shared)
    let text = ''
    const pieces = this.#session.generate(ids.slice(shared), options)
    let next = await pieces.next()
    for (; !next.done; next = await pieces.next()) {
      text += next.value.text
      yield next.value
    }
    this.messages.push(asked[asked.length - 1], { role: 'assistant', content: text })
    return next.value
  }
  close(): void {
    this.#session.close()
  }
}
