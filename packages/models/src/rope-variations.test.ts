import { gqa, mha, mqa } from '@attune/attention-heads'
import { variationSuite } from '../test/variation-suite.ts'
import {
  cohere,
  gemma,
  gemma3Text,
  granite,
  mistral,
  mixtral,
  olmo2,
  phi,
  phi3,
  qwen2,
  qwen3,
  smollm3,
  stablelm,
  starcoder2,
} from './index.ts'

variationSuite(
  [
    ...['mistral-whole-yarn', 'qwen2-upper-windows', 'qwen3-biased-windows', 'phi3-plain', 'phi3-long', 'phi3-short-partial'],
    ...['gemma-one-key', 'gemma-biased-untied', 'gemma3_text-pattern', 'gemma3_text-biased', 'smollm3-every-third', 'smollm3-windows'],
    ...['granite-factors', 'granite-biased-tied', 'olmo2-groups', 'olmo2-biased-tied', 'cohere-plain', 'cohere-normed'],
    ...['phi-plain', 'phi-normed-tied', 'stablelm-plain', 'stablelm-normed-parallel', 'starcoder2-window', 'starcoder2-no-bias'],
    ...['mixtral-window', 'mixtral-three'],
  ],
  [mistral, qwen2, qwen3, phi3, gemma, gemma3Text, smollm3, granite, olmo2, cohere, phi, stablelm, starcoder2, mixtral],
  [gqa, mha, mqa],
)
