import { AttuneError } from '@attune/tensor'
import { Template } from '@huggingface/jinja'
import { type TokenizerLike, tokenizerOf } from './transformers-js.ts'

export interface Message {
  readonly role: string
  readonly content: string
  readonly [key: string]: unknown
}

export interface ChatOptions {
  /** Ends the prompt where the assistant speaks next (default true). */
  addGenerationPrompt?: boolean
  tools?: readonly unknown[]
  documents?: readonly unknown[]
  /** More names the template may use. */
  variables?: Readonly<Record<string, unknown>>
}

/** Messages → the prompt text the model was trained on; encode it with `special: false`. */
export type ChatTemplate = (messages: readonly Message[], options?: ChatOptions) => string

/** The chat template of a tokenizer that brings one, such as those of transformers.js. Errors: `ERR_UNSUPPORTED` where there is none. */
export function chatTemplateOf(tokenizer: TokenizerLike): ChatTemplate {
  const { chatTemplate: source, named } = tokenizerOf(tokenizer)
  if (source === undefined) throw new AttuneError('ERR_UNSUPPORTED', 'this tokenizer has no chat template', {})
  return chatTemplate(source, named)
}

/** Compiles a checkpoint's chat template (Jinja). `named` = the tokenizer's `bos_token`, `eos_token` … Errors: `ERR_FORMAT`, `ERR_ARGUMENT`. */
export function chatTemplate(source: string, named: Readonly<Record<string, string>> = {}): ChatTemplate {
  let template: Template
  try {
    template = new Template(source)
  } catch (cause) {
    throw new AttuneError('ERR_FORMAT', `the chat template cannot be read: ${(cause as Error).message}`, { field: 'chat_template' }, cause)
  }
  return (messages, { addGenerationPrompt = true, tools, documents, variables } = {}) => {
    try {
      return template.render({
        ...named,
        messages,
        add_generation_prompt: addGenerationPrompt,
        ...(tools ? { tools } : {}),
        ...(documents ? { documents } : {}),
        ...variables,
      })
    } catch (cause) {
      throw new AttuneError(
        'ERR_ARGUMENT',
        `the chat template refuses these messages: ${(cause as Error).message}`,
        { roles: messages.map(m => m.role) },
        cause,
      )
    }
  }
}
