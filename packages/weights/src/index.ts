export { type Checkpoint, floatPieces, floats, type TensorEntry, tensorEntry } from './checkpoint.ts'
export { decode, encode, type FileDType, type FileStorage, fileBytes } from './dtypes.ts'
export { type Folder, folderOf } from './folder.ts'
export type { GgufArchitecture } from './gguf/architecture.ts'
export { GGUF_ARCHITECTURES } from './gguf/architectures/index.ts'
export { CONVERSION_NOTE, ggufCheckpoint, ggufConfig } from './gguf/checkpoint.ts'
export { type FileCodec, isFileCodec } from './gguf/codecs/codec.ts'
export { Metadata } from './gguf/metadata.ts'
export { type Gguf, type GgufTensor, readGguf } from './gguf/read.ts'
export { GGUF_TYPES, type GgufType, type SaveGgufOptions, saveGguf } from './gguf/save.ts'
export { type GgufTokenizer, ggufTokenizer } from './gguf/tokenizer.ts'
export type { GgufArray, GgufValue } from './gguf/value.ts'
export { type HttpOptions, httpSource } from './http.ts'
export {
  type Assignment,
  type Ignored,
  ignore,
  type Layout,
  type LoadOptions,
  layout,
  loadValues,
  type Rule,
  rule,
  saveValues,
} from './layout/layout.ts'
export { inverse, merge, permuteRope, reshape, type Step, split, stack, transpose } from './layout/steps.ts'
export { bytesIn, hollow, type Value, value } from './layout/value.ts'
export { loadable } from './loadable.ts'
export { openCheckpoint } from './open.ts'
export { memoryOutput, type OutputFile, type OutputFolder, writeWhole } from './output.ts'
export { readSafetensors, type Safetensors } from './safetensors/read.ts'
export { type WriteOptions, writeSafetensors } from './safetensors/write.ts'
export { type CheckpointFiles, saveCheckpoint } from './save.ts'
export { type SentenceSettings, sentenceSettings } from './sentence.ts'
export { type ByteSource, blobSource, byteSource, memorySource } from './source.ts'
export { fromEntry, fromValue, type TensorSource } from './tensor-source.ts'
