/**
 * The page of `keelson observe`: one HTML file with its style and script inside, and the policy
 * that allows a browser these two and nothing else. `build.mjs` makes it.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'

const from = 'src/observe/page'

/** The most kB of the page, compressed: it is sent over tunnels to a shell far away. */
const sizeMax = 120_000

const scriptOf = async () => {
  const bundle = await rolldown({
    input: `${from}/main.tsx`,
    platform: 'browser',
    tsconfig: `${from}/tsconfig.json`,
    transform: { target: 'es2022' },
    onLog: (_, { message }) => {
      throw new Error(message)
    },
  })
  const { output } = await bundle.generate({ format: 'iife', minify: true })
  await bundle.close()
  // Only this text could end the script early.
  return output[0].code.replaceAll('</script', '<\\/script')
}

const styleOf = () =>
  ['node_modules/uplot/dist/uPlot.min.css', `${from}/page.css`]
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/\s*\n\s*/g, '\n')

const hashOf = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

const policyOf = (style, script) =>
  [
    "default-src 'none'",
    `script-src ${hashOf(script)}`,
    `style-src ${hashOf(style)}`,
    "connect-src 'self'",
    // The empty icon: without one a browser asks for a file.
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; ')

/** Writes `page.html` and `page.json`, which has its policy, into the folder. Throws if it is too large. */
export const buildPage = async (folder) => {
  const [style, script] = [styleOf(), await scriptOf()]
  const page = readFileSync(`${from}/page.html`, 'utf8')
    .replace('<style></style>', () => `<style>${style}</style>`)
    .replace('<script></script>', () => `<script>${script}</script>`)
  const size = gzipSync(page).length
  if (size > sizeMax) throw new Error(`the page has ${size} bytes compressed, over ${sizeMax}`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'page.html'), page)
  writeFileSync(join(folder, 'page.json'), JSON.stringify({ policy: policyOf(style, script) }))
}
