import { join } from 'node:path'
import { mha } from '@attune/attention-heads'
import { bert } from '@attune/models'
import { reference } from '@attune/tensor'
import { openModel } from '@attune/weights/node'
import { expect, it } from 'vitest'
import { createKit } from './kit.ts'

const folder = join(import.meta.dirname, '../../models/test/fixtures/bert')
const filed = {
  '1_Pooling/config.json': '{"pooling_mode_cls_token": true}',
  'modules.json': '[]',
  'sentence_bert_config.json': '{"max_seq_length": 9000}',
}

it('embeds as the files beside a model ask, whatever is left undefined', async () => {
  const kit = createKit({ devices: [reference()], attention: [mha], models: [bert] })
  const plain = await openModel(folder)
  const [own, asked] = [await kit.loadEncoder(plain), await kit.loadEncoder({ ...plain, sentence: filed })]
  const items = [{ ids: [5, 6, 7] }, { ids: Array.from({ length: 200 }, (_, i) => 3 + (i % 90)) }] // the table holds 64 positions
  const wanted = await own.embed(items, { pooling: 'cls', normalise: false })
  expect(await asked.embed(items, { pooling: undefined, normalise: undefined, maxTokens: undefined })).toEqual(wanted)
  expect(await asked.embed(items, { maxTokens: 1000, batch: 1 })).toEqual(await asked.embed(items))
  for (const wrong of [{ batch: 0 }, { batch: 1.5 }, { maxTokens: 0 }, { maxTokens: Number.NaN }])
    await expect(own.embed(items, wrong)).rejects.toMatchObject({ code: 'ERR_ARGUMENT' })
  await own.dispose()
  await asked.dispose()
  await plain.close()
  await kit.close()
})
