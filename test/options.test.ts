/** `docs/options.md` is written from the tables of options: `npx vitest run test/options.test.ts -u`. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import type { Check } from '../src/check.ts'
import { startOptions } from '../src/supervisors/starting/start-options.ts'

/** The doc lines in the source of a table, by the paths of their options. `above` leads to it. */
const docsIn = (file: string, above = ''): [string, string][] => {
  const source = readFileSync(file, 'utf8')
  let group = ''
  return [
    ...source.matchAll(/^( +)\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n +(?:readonly )?(\w+): /gm),
  ].map(([, indent = '', doc = '', name = '']) => {
    if (indent.length === 2) group = name
    const text = doc
      .replace(/^ *\* ?/gm, '')
      .trim()
      .replace(/\s+/g, ' ')
    return [above + (indent.length === 2 ? name : `${group}.${name}`), text]
  })
}

const docs = new Map([
  ...docsIn('src/storage/segments/log-settings.ts', 'wal.'),
  ...docsIn('src/actors/core/settings.ts'),
  ...docsIn('src/supervisors/starting/start-options.ts'),
  ...docsIn('src/supervisors/starting/cluster-options.ts', 'cluster.'),
])

const docOf = (path: string): string => {
  // Those of a shard's log alone have a table of their own, without the name of the group.
  const doc = docs.get(path) ?? docs.get(path.replace('wal.', ''))
  if (doc === undefined) throw new Error(`the option ${path} has no doc line`)
  return doc.replaceAll('|', '\\|')
}

const units = ['', ' KiB', ' MiB', ' GiB', ' TiB']

/** A number of bytes in the largest unit that leaves it whole; any other number with commas. */
const shown = (number: number, isSize: boolean): string => {
  let [rest, unit] = [number, 0]
  for (; isSize && rest >= 1024 && rest % 1024 === 0; unit++) rest /= 1024
  return `${rest.toLocaleString('en')}${units[unit]}`
}

const row = (path: string, { expected = '', fallback }: Check): string => {
  const isSize = /bytes|size$|threshold/i.test(path) && path !== 'wal.sectorBytes'
  const initial = ['number', 'string', 'boolean'].includes(typeof fallback)
    ? `\`${typeof fallback === 'number' ? shown(fallback, isSize) : fallback}\``
    : ''
  const range = expected
    .replace(/(?<!:)\b\d{3,}/g, (digits) => shown(Number(digits), isSize))
    .replace('31,536,000,000', '365 days')
  return `| \`${path}\` | ${initial} | ${range} | ${docOf(path)} |`
}

const head = '| option | default | is | meaning |\n| --- | --- | --- | --- |'

test('docs/options.md has every option of `start` with its default, its range and its meaning', async () => {
  const options = Object.entries<Check>(startOptions)
  const groups = options.filter(([, check]) => check.fields)
  const single = options.filter(([, check]) => !check.fields)
  const tables = groups.map(([name, { fields = {} }]) => {
    const rows = Object.entries(fields).map(([member, check]) => row(`${name}.${member}`, check))
    return `## \`${name}\`\n\n${docOf(name)}\n\n${head}\n${rows.join('\n')}\n`
  })
  const page = `# Options of \`start\`

Only \`dir\`, the data folder, has no default. Times are in ms, sizes in bytes. A wrong option is
refused with \`CONFIG\`, and \`details.path\` names it.

${head}
${single.map(([name, check]) => row(name, check)).join('\n')}

${tables.join('\n')}`

  await expect(page).toMatchFileSnapshot('../docs/options.md')
})
