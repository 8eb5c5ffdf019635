import { mamba2 as mixer } from '@attune/attention-linear'
import { goldenSuite } from '../test/golden-suite.ts'
import { mamba2 } from './index.ts'

// transformers' mamba2 lists what each block gives, without the embeddings
goldenSuite('mamba2', mamba2, [mixer], { hidden: [undefined, 'A.hidden_states.0', 'A.hidden_states.1', 'A.hidden_states.3'] })
