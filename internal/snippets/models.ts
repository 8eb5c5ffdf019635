import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { root } from '../lib/workspace.mjs'

const TEMPLATE = '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}'

/** A model of the loopback hub: the name that pages use, and a tiny one of the same kind that is there instead. */
const standIns: readonly { id: string; from: string; files?: Readonly<Record<string, unknown>>; chat?: boolean }[] = [
  { id: 'HuggingFaceTB/SmolLM2-135M-Instruct', from: 'apps/cli/assets/toy', chat: true },
  { id: 'HuggingFaceTB/SmolLM2-360M-Instruct', from: 'apps/cli/test/fixtures/onnx-llama', chat: true }, // with onnx/
  {
    id: 'sentence-transformers/all-MiniLM-L6-v2',
    from: 'packages/models/test/fixtures/bert',
    files: { 'tokenizer.json': wordPieces(), 'tokenizer_config.json': { tokenizer_class: 'BertTokenizer', pad_token: '[PAD]' } },
  },
  {
    id: 'google/vit-base-patch16-224',
    from: 'packages/models/test/fixtures/vit',
    files: {
      'preprocessor_config.json': {
        image_processor_type: 'ViTImageProcessor',
        size: { height: 32, width: 32 },
        image_mean: [0.5, 0.5, 0.5],
        image_std: [0.5, 0.5, 0.5],
        ...{ do_resize: true, do_rescale: true, rescale_factor: 1 / 255, do_normalize: true },
      },
    },
  },
]

/** Lays the models of the loopback hub into a folder: their names and where each lies. */
export async function layModels(home: string): Promise<Record<string, string>> {
  const out: Record<string, string> = {}
  for (const { id, from, files = {}, chat } of standIns) {
    const folder = (out[id] = join(home, 'models', id))
    await mkdir(folder, { recursive: true })
    await cp(join(root, from), folder, { recursive: true })
    for (const name of ['golden.json', 'golden.safetensors', 'logits.json']) await rm(join(folder, name), { force: true })
    for (const [name, value] of Object.entries(files)) await writeFile(join(folder, name), JSON.stringify(value))
    if (!chat) continue
    const path = join(folder, 'tokenizer_config.json')
    await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), chat_template: TEMPLATE }))
  }
  return out
}

/** A BERT tokenizer of letters. */
function wordPieces() {
  const special = ['[PAD]', '[UNK]', '[CLS]', '[SEP]']
  const letters = [...'abcdefghijklmnopqrstuvwxyz.?']
  const tokens = [...special, ...letters, ...letters.map(c => `##${c}`)]
  const piece = (id: string) => ({ SpecialToken: { id, type_id: 0 } })
  const token = (id: string) => [id, { id, ids: [tokens.indexOf(id)], tokens: [id] }]
  return {
    version: '1.0',
    added_tokens: special.map((content, id) => ({
      id,
      content,
      special: true,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
    })),
    normalizer: { type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true },
    pre_tokenizer: { type: 'BertPreTokenizer' },
    post_processor: {
      type: 'TemplateProcessing',
      single: [piece('[CLS]'), { Sequence: { id: 'A', type_id: 0 } }, piece('[SEP]')],
      pair: [],
      special_tokens: Object.fromEntries([token('[CLS]'), token('[SEP]')]),
    },
    decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(tokens.map((t, i) => [t, i])),
    },
  }
}
