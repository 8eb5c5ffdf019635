import { configSuite } from '../test/config-suite.ts'
import oracle from '../test/encoder-configs.json' with { type: 'json' }
import { bert, distilbert, modernbert, roberta, vit, xlmRoberta } from './index.ts'

configSuite(oracle, [
  [
    bert,
    {
      is_decoder: true,
      position_embedding_type: 'relative_key',
      add_cross_attention: true,
      tie_word_embeddings: false,
      num_attention_heads: 7,
    },
  ],
  [roberta, { pad_token_id: -1, hidden_act: 'mish', architectures: ['RobertaForMultipleChoice'], max_position_embeddings: 2 }],
  [xlmRoberta, { position_embedding_type: 'relative_key_query', architectures: ['RobertaModel'] }],
  [distilbert, { n_heads: 5, activation: 'mish', tie_word_embeddings: false }],
  [modernbert, { layer_types: ['sliding_attention'], local_attention: 0, architectures: ['ModernBertForMultipleChoice'] }],
  [vit, { patch_size: 0, image_size: [8, 8], architectures: ['ViTForMaskedImageModeling'] }],
])
