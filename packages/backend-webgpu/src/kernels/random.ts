import { type Dim, elements, type Kernel, random } from '@attune/tensor'
import { kernelText, type Uniform } from '../wgsl/text.ts'
import { coordinates, elementwise, elementwiseGrid, elementwiseUniforms, output } from '../wgsl/walk.ts'

/** The reference's numbers bit for bit; 64-bit products by 16-bit halves. */
const PHILOX = `fn high(a: u32, b: u32) -> u32 {
  let al = a & 65535u;
  let ah = a >> 16u;
  let bl = b & 65535u;
  let bh = b >> 16u;
  let middle = ah * bl + ((al * bl) >> 16u);
  return ah * bh + (middle >> 16u) + ((al * bh + (middle & 65535u)) >> 16u);
}
fn philox(counter: u32, key: vec2<u32>) -> vec4<u32> {
  var c = vec4<u32>(counter, 0u, 0u, 0u);
  var k = key;
  for (var r = 0u; r < 10u; r++) {
    c = vec4<u32>(high(3449720151u, c.z) ^ c.y ^ k.x, 3449720151u * c.z, high(3528531795u, c.x) ^ c.w ^ k.y, 3528531795u * c.x);
    k += vec2<u32>(2654435769u, 3144134277u);
  }
  return c;
}
`

/** Philox numbers, one per thread. */
export const randomKernel: Kernel<{ shape: readonly Dim[] }> = {
  name: 'random',
  op: random,
  why: () => undefined,
  cost: ({ outputs }) => elements(outputs[0].shape),
  plan({ inputs: [key], outputs: [out] }) {
    // Numbers count the elements of this run's dense array, not the places of the layout.
    const sizes = out.shape.map((d, a): Uniform => ({ name: `size${a}`, type: 'u32', value: d }))
    const uniforms = [...elementwiseUniforms(out), ...sizes]
    const number = coordinates(out.shape.length).reduce((text, c, a) => (a === 0 ? c : `(${text}) * u.size${a} + ${c}`), '0u')
    return {
      launches: [
        {
          text: kernelText({
            operands: [output('f32'), { name: 'key', dtype: 'i32' }],
            uniforms,
            functions: PHILOX,
            main: elementwise({
              out,
              binding: 0,
              statements: `let number = ${number};
let words = philox(number >> 2u, vec2<u32>(bitcast<u32>(key(0u)), bitcast<u32>(key(${key.strides[0]}u))));
`,
              value: 'f32(words[number & 3u] >> 8u) / 16777216.0f',
            }),
          }),
          bind: [{ output: 0 }, { input: 0 }],
          params: uniforms.map(p => p.value),
          grid: elementwiseGrid(out),
        },
      ],
    }
  },
}
