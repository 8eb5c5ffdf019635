import { gqa, mha, mqa } from '@attune/attention-heads'
import { variationSuite } from '../test/variation-suite.ts'
import { bloom, falcon, gpt2, gptBigcode, gptj, gptNeo, mpt, opt } from './index.ts'

variationSuite(
  [
    ...['gpt2-scaled', 'gpt2-raw', 'bloom-after-norm'],
    ...['falcon-shared', 'falcon-grouped', 'falcon-one-norm', 'falcon-rw', 'falcon-alibi-shared', 'falcon-alibi-grouped', 'falcon-serial'],
    ...['gptj', 'gptj-tied', 'gpt_neo', 'gpt_neo-untied', 'gpt_bigcode', 'gpt_bigcode-heads'],
    ...['mpt', 'mpt-without-biases', 'mpt-foundry', 'mpt-clipped', 'opt', 'opt-projected', 'opt-bare', 'opt-narrow'],
  ],
  [gpt2, bloom, falcon, gptj, gptNeo, gptBigcode, mpt, opt],
  [mha, mqa, gqa],
)
