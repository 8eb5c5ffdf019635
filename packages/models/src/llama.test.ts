import { gqa, mha, mqa } from '@attune/attention-heads'
import { goldenSuite, sameSpecOfLegacy } from '../test/golden-suite.ts'
import { llama } from './index.ts'

for (const name of ['llama-gqa-tied', 'llama-untied-bias', 'llama3-rope-mqa']) {
  goldenSuite(name, llama, [mha, mqa, gqa])
  sameSpecOfLegacy(name, llama)
}
