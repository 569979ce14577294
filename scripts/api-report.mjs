#!/usr/bin/env node
/**
 * `npm run api`: writes the public surface, made from the types, into `api`: a report for each entry of
 * the package, by API Extractor. A change of an exported name or its type changes its report.
 * `--check` writes nothing, and fails if a report is not the one of the build.
 */
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Extractor, ExtractorConfig } from '@microsoft/api-extractor'

const root = fileURLToPath(new URL('../', import.meta.url))
const checkedIn = join(root, 'api')
/** As the compiler has written them, before the bundle renames what two files call the same. */
const declarations = join(root, '.tmp/declarations')
const made = join(root, '.tmp/api-reports')

const compilerOptions = {
  ...{ module: 'nodenext', target: 'es2022', lib: ['es2023', 'esnext.disposable'] },
  ...{ strict: true, skipLibCheck: true, types: ['node'] },
}
const silent = { default: { logLevel: 'none' } }

const report = (entry, file) => {
  const configObject = {
    projectFolder: root,
    mainEntryPointFilePath: entry,
    newlineKind: 'lf',
    compiler: { overrideTsconfig: { compilerOptions, files: [entry] } },
    apiReport: {
      enabled: true,
      reportFileName: file,
      reportFolder: made,
      reportTempFolder: join(made, 'temp'),
    },
    docModel: { enabled: false },
    dtsRollup: { enabled: false },
    tsdocMetadata: { enabled: false },
    messages: { extractorMessageReporting: silent, tsdocMessageReporting: silent },
  }
  const packageJsonFullPath = join(root, 'package.json')
  const config = ExtractorConfig.prepare({ configObject, packageJsonFullPath })
  const messageCallback = (message) => {
    // That a report is new, in a folder that was empty.
    message.handled = message.messageId !== 'console-compiler-error'
  }
  const { errorCount } = Extractor.invoke(config, { localBuild: true, messageCallback })
  if (errorCount > 0) throw new Error(`no report of ${entry}`)
}

/** `declare module` of layers that add to an interface of a lower one: API Extractor leaves them out. */
const additions = () =>
  readdirSync(declarations, { recursive: true })
    .filter((path) => path.endsWith('.d.ts'))
    .flatMap((path) => {
      const text = readFileSync(join(declarations, path), 'utf8')
      return [...text.matchAll(/^declare module .*\{\n([\s\S]*?)^\}/gm)].map(([, added]) => added)
    })
    .map((added) => added.replace(/^ *\/\*\*[\s\S]*?\*\/\n/gm, '').replace(/^ {4}/gm, ''))
    .sort()

const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
rmSync(made, { recursive: true, force: true })
mkdirSync(made, { recursive: true })
for (const [name, { types }] of Object.entries(exports)) {
  if (!types) continue
  const file = `${name === '.' ? 'keelson' : name.slice(2)}.api.md`
  report(types.replace('./dist', declarations), file)
  if (name === '.')
    appendFileSync(
      join(made, file),
      `\n## Added to its interfaces\n\n\`\`\`ts\n${additions().join('\n')}\`\`\`\n`,
    )
}
rmSync(join(made, 'temp'), { recursive: true, force: true })

const textOf = (path) => (existsSync(path) ? readFileSync(path, 'utf8') : undefined)
const names = new Set(
  [made, checkedIn].flatMap((folder) => (existsSync(folder) ? readdirSync(folder) : [])),
)
const changed = [...names].filter(
  (name) => textOf(join(made, name)) !== textOf(join(checkedIn, name)),
)
if (process.argv.includes('--check')) {
  if (changed.length > 0) {
    console.error(`The public surface has changed: api/${changed.join(', api/')}.`)
    console.error('If that is meant, run `npm run api`, and look at the difference.')
    process.exit(1)
  }
} else {
  rmSync(checkedIn, { recursive: true, force: true })
  cpSync(made, checkedIn, { recursive: true })
  console.log(changed.length > 0 ? `changed: ${changed.join(', ')}` : 'nothing has changed')
}
