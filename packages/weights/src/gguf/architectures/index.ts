import type { GgufArchitecture } from '../architecture.ts'
import { gemma, gemma2, gemma3 } from './gemma.ts'
import { gpt2 } from './gpt2.ts'
import { llama } from './llama.ts'
import { phi2, phi3 } from './phi.ts'
import { qwen2, qwen3 } from './qwen.ts'
import { granite, olmo2, smollm3, starcoder2 } from './relatives.ts'

export const GGUF_ARCHITECTURES: readonly GgufArchitecture[] = [
  ...[llama, qwen2, qwen3, gemma, gemma2, gemma3, gpt2, phi2, phi3],
  ...[smollm3, granite, olmo2, starcoder2],
]
