import { expect, it } from 'vitest'
import { makeSafetensors } from '../test/make.ts'
import { folderOf } from './folder.ts'
import { openCheckpoint } from './open.ts'
import { memorySource } from './source.ts'

const text = (name: string, value: unknown) => memorySource(name, new TextEncoder().encode(JSON.stringify(value)))
const weights = (name = 'model.safetensors') =>
  memorySource(name, makeSafetensors({ a: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } }, 4))
const open = (config: object, ...more: ReturnType<typeof text>[]) =>
  openCheckpoint(folderOf('m', [text('config.json', config), weights(), ...more]))

it.each([
  ['fp8', { quantization_config: { quant_method: 'fp8', weight_block_size: [128, 128] } }, /packed \(quantization_config 'fp8'\).* GGUF/],
  ['gptq', { quantization_config: { quant_method: 'gptq', bits: 4 } }, /'gptq'/],
  ['no name', { quantization_config: true }, /packed \(quantization_config\)/],
  [
    'a vision model',
    { model_type: 'gemma3', text_config: {}, vision_config: {} },
    /'gemma3' is several models in one \(text_config, vision_config\)/,
  ],
  ['a speaking model', { model_type: 'qwen2_5_omni', thinker_config: {}, talker_config: {} }, /thinker_config, talker_config/],
])('refuses weights of %s in one sentence', async (_, config, why) => {
  const error = await open(config).catch(e => e)
  expect(error.code).toBe('ERR_UNSUPPORTED')
  expect(error.message).toMatch(why)
  expect(error.data).toMatchObject({ file: 'config.json' })
})

it('refuses an adapter, but not a model that an adapter lies beside', async () => {
  const adapter = text('adapter_config.json', { base_model_name_or_path: 'x' })
  const alone = await openCheckpoint(folderOf('m', [adapter, weights('adapter_model.safetensors')])).catch(e => e)
  expect(alone).toMatchObject({ code: 'ERR_UNSUPPORTED', data: { file: 'adapter_config.json' } })
  expect(alone.message).toMatch(/merge/)
  expect((await open({ model_type: 'llama', quantization_config: null }, adapter)).config.model_type).toBe('llama')
})
