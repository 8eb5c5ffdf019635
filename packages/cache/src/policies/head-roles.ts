/**
 * How much each key head reads of a prompt while the model repeats it, from KVzip's scores: near 1 for heads that retrieve. What
 * DuoAttention trains for, without training, as KVzip does. https://arxiv.org/abs/2505.23416
 */
export const repetitionGates = (scores: readonly (readonly Float32Array[])[]): number[][] =>
  scores.map(layer => layer.map(head => head.reduce((a, b) => a + b, 0) / head.length))
