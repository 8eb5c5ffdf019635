import type { Codec } from '@attune/tensor'

/** The reason why values cannot be packed so, or undefined. */
export const whyUnpackable = (t: Codec): string | undefined =>
  t.name in PACK ? undefined : `${t.name} is a packed format this backend does not encode`

/** Blocks that together are whole words: neighbours of such a unit share no word with it. */
export const unitOf = (t: Codec): number => (t.bytes % 4 === 0 ? 1 : 2)

/** `pack(values, a)`: writes one block of operand `m` at byte `a`, as the codec's own `encode` does. The block's words are the caller's alone. */
export function packFunction(m: number, { name, block }: Codec): string {
  return `fn put_byte(a: u32, byte: u32) {
  let shift = (a & 3u) * 8u;
  m${m}[a >> 2u] = (m${m}[a >> 2u] & ~(255u << shift)) | ((byte & 255u) << shift);
}
fn put_half(a: u32, x: f32) {
  let half = to_f16(x);
  put_byte(a, half);
  put_byte(a + 1u, half >> 8u);
}
fn nibble(x: f32) -> u32 { return u32(clamp(i32(x), 0i, 15i)); }
fn pack(values: ptr<function, array<f32, ${block}>>, a: u32) {
${PACK[name]}
}
`
}

/** Bounds of a block. */
const EXTREME = `  var extreme = 0.0f;
  for (var i = 0u; i < 32u; i++) { let v = (*values)[i]; if (abs(v) > abs(extreme)) { extreme = v; } }`

const PACK: Readonly<Record<string, string>> = {
  q8_0: `${EXTREME}
  let scale = abs(extreme) / 127.0f;
  var inverse = 0.0f;
  if (scale != 0.0f) { inverse = 1.0f / scale; }
  put_half(a, scale);
  for (var i = 0u; i < 32u; i++) {
    let x = (*values)[i] * inverse;
    put_byte(a + 2u + i, bitcast<u32>(i32(sign(x) * floor(abs(x) + 0.5f))));
  }`,
  q4_0: `${EXTREME}
  let scale = extreme / -8.0f;
  var inverse = 0.0f;
  if (scale != 0.0f) { inverse = 1.0f / scale; }
  put_half(a, scale);
  for (var i = 0u; i < 16u; i++) {
    let low = nibble((*values)[i] * inverse + 8.5f);
    put_byte(a + 2u + i, low | (nibble((*values)[i + 16u] * inverse + 8.5f) << 4u));
  }`,
  q4_1: `  var low = (*values)[0];
  var high = low;
  for (var i = 1u; i < 32u; i++) { low = min(low, (*values)[i]); high = max(high, (*values)[i]); }
  let scale = (high - low) / 15.0f;
  var inverse = 0.0f;
  if (scale != 0.0f) { inverse = 1.0f / scale; }
  put_half(a, scale);
  put_half(a + 2u, low);
  for (var i = 0u; i < 16u; i++) {
    let first = nibble(((*values)[i] - low) * inverse + 0.5f);
    put_byte(a + 4u + i, first | (nibble(((*values)[i + 16u] - low) * inverse + 0.5f) << 4u));
  }`,
}
