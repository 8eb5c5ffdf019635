import { gqa } from '@attune/attention-heads'
import { lightning } from '@attune/attention-linear'
import { goldenSuite, sameSpecOfLegacy } from '../test/golden-suite.ts'
import { minimax } from './index.ts'

goldenSuite('minimax', minimax, [gqa, lightning])
sameSpecOfLegacy('minimax', minimax)
