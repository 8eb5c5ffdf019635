import type { Checkpoint } from './checkpoint.ts'
import { type OutputFolder, writeWhole } from './output.ts'
import { type WriteOptions, writeSafetensors } from './safetensors/write.ts'
import type { TensorSource } from './tensor-source.ts'

/** What a Hugging Face folder holds beside its tensors. */
export type CheckpointFiles = Pick<Checkpoint, 'config' | 'tokenizerJson' | 'tokenizerConfig' | 'generationConfig' | 'chatTemplate'>

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
    const { config, tokenizerJson, tokenizerConfig, generationConfig, chatTemplate } = files
    const inConfig = tokenizerConfig?.chat_template !== undefined
    const beside = {
      'config.json': config,
      'tokenizer.json': tokenizerJson,
      'tokenizer_config.json': tokenizerConfig,
      'generation_config.json': generationConfig,
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
