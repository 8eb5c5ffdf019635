import { gqa, mha, mqa } from '@attune/attention-heads'
import { createKit, type LoadedModel } from '@attune/kit'
import { allLogits, llama } from '@attune/models'
import type { Device } from '@attune/tensor'
import type { Checkpoint } from '@attune/weights'
import { byteTokenizer } from './byte-tokenizer.ts'

export interface Answer {
  readonly ids: number[]
  readonly text: string
  /** Of every token of the prompt, (T, vocab). */
  readonly logits: number[]
}

/** Loads a checkpoint whose tokens are bytes. The same text runs in Node and on a page. */
export function load(checkpoint: Checkpoint, device: Device): Promise<LoadedModel> {
  const kit = createKit({ devices: [device], attention: [mha, mqa, gqa], models: [llama] })
  return kit.load({ ...checkpoint, tokenizerJson: byteTokenizer() })
}

/** The prompt's logits and its greedy continuation. */
export async function answer(model: LoadedModel, prompt: readonly number[], maxTokens: number): Promise<Answer> {
  const { runner } = model
  const logits: number[] = []
  const sequence = runner.open()
  await runner.feed(sequence, prompt, allLogits, async r => void logits.push(...(await r.read('logits')).data))
  runner.close(sequence)
  const ids: number[] = []
  let text = ''
  using session = model.session()
  for await (const piece of session.generate(prompt, { maxTokens, temperature: 0, endIds: [] })) {
    text += piece.text
    if (ids.length < maxTokens) ids.push(piece.id)
  }
  return { ids, text, logits }
}
