export { type ChatOptions, type ChatTemplate, chatTemplate, type Message } from './chat.ts'
export { loadTokenizer, type Tokenizer, type TokenizerFiles } from './tokenizer.ts'
export type { TextStream } from './tokenizer-stream.ts'
