import { ConfigReader } from './config-reader.ts'
import type { ModelDefinition } from './definition.ts'
import { decoderLayout, decoderRules, expertRules, fusedExpertRules, headsRules, same } from './file-names.ts'
import { headCounts, headsAttention } from './heads-config.ts'
import { ropeFromConfig } from './rope-config.ts'
import type { DecoderSpec, LayerSpec } from './spec.ts'
import { windowMask } from './window-layers.ts'

/** Mixtral: Mistral with mixtures of experts. https://arxiv.org/abs/2401.04088 */
export const mixtral: ModelDefinition = {
  type: 'mixtral',
  spec(json) {
    const c = new ConfigReader(json)
    c.ignore('attention_dropout', 'router_aux_loss_coef', 'output_router_logits', 'router_jitter_noise') // training
    const counts = headCounts(c, { dim: 4096, heads: 32, kvHeads: 8 })
    const maxPositions = c.count('max_position_embeddings', 131072)
    const layer: LayerSpec = {
      attention: {
        ...headsAttention(counts, {}),
        position: ropeFromConfig(c, counts.headDim, maxPositions, { theta: 1e6 }),
        mask: windowMask(c.optionalCount('sliding_window')),
      },
      mlp: {
        kind: 'moe',
        hidden: c.count('intermediate_size', 14336),
        activation: c.activation('hidden_act', 'silu'),
        router: {
          experts: c.count('num_local_experts', 8),
          perToken: c.count('num_experts_per_tok', 2),
          scoring: 'softmax',
          normalise: true,
        },
      },
    }
    const spec: DecoderSpec = {
      kind: 'decoder',
      type: 'mixtral',
      vocab: c.count('vocab_size', 32000),
      dim: counts.dim,
      norm: { kind: 'rms', eps: c.number('rms_norm_eps', 1e-5, 0) },
      tied: c.flag('tie_word_embeddings', false),
      maxPositions,
      layers: new Array(c.count('num_hidden_layers', 32)).fill(layer),
    }
    c.finish()
    return spec
  },
  layout({ layers: [{ mlp }] }) {
    const [file, param] = ['model.layers.{i}', 'layers.{i}']
    return decoderLayout([
      ...decoderRules,
      ...headsRules(),
      same(`${file}.block_sparse_moe.gate`, `${param}.mlp.router`),
      ...expertRules(`${file}.block_sparse_moe.experts`, { gate: 'w1', up: 'w3', down: 'w2' }),
      // As transformers 5 holds them in memory.
      same(`${file}.mlp.gate`, `${param}.mlp.router`),
      ...fusedExpertRules(`${file}.mlp.experts`, mlp.kind === 'moe' ? mlp.hidden : 0),
    ])
  },
}
