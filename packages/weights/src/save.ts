import type { Checkpoint } from './checkpoint.ts'
import { inFormOf } from './json-form.ts'
import { type OutputFolder, writeWhole } from './output.ts'
import { type WriteOptions, writeSafetensors } from './safetensors/write.ts'
import type { TensorSource } from './tensor-source.ts'

/** What a Hugging Face folder holds beside its tensors. */
export type CheckpointFiles = Pick<
  Checkpoint,
  'config' | 'tokenizerJson' | 'tokenizerConfig' | 'generationConfig' | 'chatTemplate' | 'texts'
>

type Contents = Readonly<Record<string, string | Uint8Array | Readonly<Record<string, unknown>>>>

/**
 * Writes a Hugging Face folder: tensors, config.json, tokenizer files, and `extra` files, which may be made once all others are written.
 * All appear together at the end, or none.
 */
export async function saveCheckpoint(
  out: OutputFolder,
  files: CheckpointFiles,
  tensors: Iterable<TensorSource>,
  options: WriteOptions & { extra?: Contents | (() => Promise<Contents>) } = {},
): Promise<void> {
  try {
    await writeSafetensors(out, tensors, options)
    const { config, tokenizerJson, tokenizerConfig, generationConfig, chatTemplate, texts } = files
    const inConfig = tokenizerConfig?.chat_template !== undefined
    const formed = (name: string, value: Contents[string] | undefined) =>
      value !== undefined && texts?.[name] !== undefined ? inFormOf(value, texts[name]) : value
    const beside = {
      'config.json': formed('config.json', config),
      'tokenizer.json': tokenizerJson,
      'tokenizer_config.json': formed('tokenizer_config.json', tokenizerConfig),
      'generation_config.json': formed('generation_config.json', generationConfig),
      'chat_template.jinja': inConfig ? undefined : chatTemplate,
    }
    const write = async (files: Readonly<Record<string, Contents[string] | undefined>>) => {
      for (const [name, content] of Object.entries(files)) if (content !== undefined) await writeWhole(out, name, content)
    }
    await write(beside)
    await write(typeof options.extra === 'function' ? await options.extra() : (options.extra ?? {}))
    await out.commit()
  } catch (error) {
    await out.discard()
    throw error
  }
}
