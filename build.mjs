/**
 * `npm run build`: code and declarations of `tsc` in few files by `rolldown`. Node takes about 0.7 ms for each module that it
 * loads, and a start needs 400 modules. The declarations have only names that an entry of the package reaches.
 * `npm run lint` checks the types. `node build.mjs --if-stale` builds only if the sources have changed since the last build:
 * every run of vitest begins with it, so that no test looks at a stale build.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'

/** The hash of the sources that the last build in this folder was made from. */
const builtFrom = '.tmp/built-from'

const sources = [
  ...readdirSync('src', { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort(),
  ...[
    'build.mjs',
    'scripts/build-page.mjs',
    'package.json',
    'tsconfig.json',
    'tsconfig.build.json',
  ],
]
const hash = createHash('sha256')
for (const file of sources) hash.update(`${file}\0`).update(readFileSync(file))
const present = hash.digest('hex')
const isPresent =
  existsSync('dist') && existsSync(builtFrom) && readFileSync(builtFrom, 'utf8') === present
if (process.argv.includes('--if-stale') && isPresent) process.exit()

const { exports, bin } = JSON.parse(readFileSync('package.json', 'utf8'))

/** The name of an entry of the package, by its file. */
const entryOf = (file) => file.slice('./dist/'.length, -'.js'.length)
const exported = Object.values(exports).flatMap((entry) =>
  entry.default ? [entryOf(entry.default)] : [],
)
/**
 * The package's entries, its command, and the parts of the build that tests load: the storage, the command without its process,
 * and links between members. The package leaves out these files of storage and links: its entries have their code in chunks.
 */
const doors = [
  ...exported,
  entryOf(bin.keelson),
  'storage/index',
  'members/links/members',
  'members/links/unix-transport',
  'inspect/cli/command',
  'inspect/command/environment',
]

/** A thread begins with the file that starts it. As entries these get chunks of their own, so a thread loads little else. */
const threads = [
  'spare-maker',
  'sync-crew',
  'thread-backup',
  'thread-blob-host',
  'thread-examination',
  'thread-log-host',
  'thread-projection-writer',
  'thread-snapshot-host',
  'thread-turn-scanner',
].map((name) => `storage/threads/${name}`)

/**
 * What is loaded by itself. Code that the same of these need stands in one file. Where each entry, command and test's door made
 * files of its own, a start took 168 instead of 146 ms.
 */
const loads = {
  index: /^index\.ts/,
  start:
    /^(supervisors\/(index|starting\/(instance|machine-ports))|inspect\/attach\/attach-server)\.ts/,
  machine: /^runtime\/state-machine\//,
  server: /^actors\/log\/wal-server\.ts/,
  wal: /^(storage\/wal\/|inspect\/folder\/wal-)|^(storage\/values\/event-payload)\.ts/,
  command: /^inspect\/cli\/cli\.ts/,
  thread: /^runtime\/threads\//,
  spare: /^storage\/threads\/spare-maker\.ts/,
  syncs: /^storage\/threads\/sync-crew\.ts/,
  projections: /^storage\/threads\/thread-projection-writer\.ts/,
  log: /^storage\/threads\/thread-(?!projection)/,
}

const declared = '.tmp/declarations'
for (const old of [builtFrom, declared, 'dist']) rmSync(old, { recursive: true, force: true })
execFileSync(
  'node_modules/.bin/tsc',
  ['-p', 'tsconfig.build.json', '--noCheck', '--outDir', declared],
  { stdio: 'inherit' },
)
/** An entry that is the index itself would bring the whole storage to whoever imports from it. */
const storageDoor = {
  name: 'storage-door',
  resolveId: (source) => (source === 'src/storage/index.ts' ? storageDoor.name : null),
  load: (id) =>
    id === storageDoor.name
      ? `export * from '${join(process.cwd(), 'src/storage/index.ts')}'`
      : null,
}
/**
 * Rolldown's own code lists the names of a namespace with `for … in`. In an application whose `Object.prototype` has an
 * enumerable member the package would not load.
 */
const ownNames = {
  name: 'own-names',
  transform: (code, id) => {
    if (id !== '\0rolldown/runtime.js') return null
    const own = code.replaceAll('for (var name in all)', 'for (var name of Object.keys(all))')
    if (own === code) throw new Error('the code of rolldown has changed: look for `for … in`')
    return { code: own, map: null }
  },
}
const { rolldown } = await import('rolldown')
const bundle = await rolldown({
  input: {
    ...Object.fromEntries([...doors, ...threads].map((name) => [name, `src/${name}.ts`])),
    // Beside the chunk of `thread-door.ts`, which finds it there.
    'chunks/thread-entry': 'src/runtime/threads/thread-entry.ts',
    // As above, for the process of `judge-process.ts`.
    'chunks/rehearsal-judge': 'src/inspect/rehearsal/rehearsal-judge.ts',
  },
  platform: 'node',
  external: /^[a-z@]/,
  plugins: [storageDoor, ownNames],
  // Rolldown wants this said where a group does not take in what its modules import.
  preserveEntrySignatures: 'allow-extension',
  // Comments with the paths of modules would be 7 kB of the package.
  experimental: { attachDebugInfo: 'none' },
  // The index of a layer has no code of its own: who imports one thing from it loads that thing.
  treeshake: { moduleSideEffects: [{ test: /\/src\/[a-z]+\/index\.ts$/, sideEffects: false }] },
})
/**
 * By module the loads that need it. What a load does not use is known once the files have been made in the usual way. An entry
 * stands alone: a thread's begins to work where it is loaded.
 */
const needs = new Map()
const { output } = await bundle.generate()
const chunks = new Map(output.map((chunk) => [chunk.fileName, chunk]))
for (const [load, roots] of Object.entries(loads)) {
  const isRoot = ({ facadeModuleId: id }) => id && roots.test(relative('src', id))
  const files = new Set(output.filter(isRoot).map(({ fileName }) => fileName))
  if (files.size === 0) throw new Error(`nothing is loaded as ${load}`)
  for (const file of files) {
    for (const next of chunks.get(file)?.imports ?? []) files.add(next)
    for (const id of chunks.get(file)?.moduleIds ?? [])
      needs.set(id, [...(needs.get(id) ?? []), load])
  }
}
for (const { isEntry, facadeModuleId } of output) if (isEntry) needs.delete(facadeModuleId)
await bundle.write({
  dir: 'dist',
  codeSplitting: {
    includeDependenciesRecursively: false,
    groups: [{ name: (id) => needs.get(id)?.join('-'), debugName: 'loads' }],
  },
  // For `test/imports.test.ts`. The package has neither maps nor sources.
  sourcemap: 'hidden',
  sourcemapExcludeSources: true,
  chunkFileNames: 'chunks/[name]-[hash].js',
  // The declarations have them. Without them Node compiles the code in two thirds of the time.
  comments: { jsdoc: false },
})
await bundle.close()

/** The file that other files augment by its path. It stays a file, and they find it there. */
const augmented = 'runtime/words/app-context'
const keepAugmented = {
  name: 'keep-augmented',
  resolveId: {
    order: 'pre',
    handler: (source) =>
      source.endsWith('words/app-context.ts') ? { id: augmented, external: true } : null,
  },
  renderChunk: (code, { fileName }) => {
    const path = relative(dirname(fileName), `${augmented}.js`)
    const own = path.startsWith('.') ? path : `./${path}`
    return code.replace(/(['"])[^'"\n]*\bwords\/app-context(?:\.\w+)?\1/g, `'${own}'`)
  },
}
/**
 * The plugin prints the comment of a member at the end of the line before it, where an editor takes it for no member's. Each
 * comment begins a line of its own.
 */
const commentsOnLines = {
  name: 'comments-on-lines',
  renderChunk: (code) =>
    code.replace(
      /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`|\/\/.*| *\/\*[\s\S]*?\*\//g,
      (found, at) => {
        const before = code.slice(code.lastIndexOf('\n', at - 1) + 1, at)
        const text = found.trimStart()
        if (!text.startsWith('/**') || before === '') return found
        return `\n${/^ */.exec(before)[0]}${text}`
      },
    ),
}
const augmenting = (files) =>
  files.flatMap((file) => readFileSync(file, 'utf8').match(/^declare module /gm) ?? []).length
const { dts } = await import('rolldown-plugin-dts')
const types = await rolldown({
  input: Object.fromEntries(exported.map((name) => [name, `./${declared}/${name}.d.ts`])),
  external: /^[a-z@]/,
  plugins: [dts({ dtsInput: true, tsconfig: false }), keepAugmented, commentsOnLines],
  // Who imports anything over a file that augments has the augmentation, too.
  treeshake: { moduleSideEffects: (id) => existsSync(id) && augmenting([id]) > 0 },
  // The plugin warns of each augmentation by path.
  logLevel: 'silent',
})
await types.write({ dir: 'dist', chunkFileNames: 'chunks/[name]-[hash].js' })
await types.close()
cpSync(join(declared, `${augmented}.d.ts`), join('dist', `${augmented}.d.ts`))
// Tests in TypeScript load these. The package leaves their declarations out.
for (const name of [
  'inspect/cli/command',
  'inspect/command/environment',
  'storage/threads/thread-blob-host',
])
  writeFileSync(
    `dist/${name}.d.ts`,
    `export * from '${relative(dirname(join('dist', name)), join(declared, name))}.js'\n`,
  )
// A file whose own types no entry reaches may be left out, and its augmentation with it: `App` would
// have no fields. What `keelson` does not import itself, an importer of `keelson` alone does not see.
const declarationsOf = (file, seen = new Set()) => {
  if (!seen.has(file)) {
    seen.add(file)
    for (const [, name] of readFileSync(file, 'utf8').matchAll(/from ["'](\..*?)\.js["']/g))
      declarationsOf(join(dirname(file), `${name}.d.ts`), seen)
  }
  return [...seen]
}
for (const [entries, folders] of [
  [['index'], /^src\/(actors|runtime|storage|supervisors)/],
  [['index', 'flow/index'], /^src\//],
]) {
  const files = new Set(entries.flatMap((entry) => declarationsOf(`dist/${entry}.d.ts`)))
  if (augmenting([...files]) !== augmenting(sources.filter((file) => folders.test(file))))
    throw new Error(`the declarations of ${entries} have lost an augmentation of context.app`)
}
// For `npx keelson` in a clone. In an installed package npm does it.
chmodSync('dist/inspect/cli/cli.js', 0o755)
const { buildPage } = await import('./scripts/build-page.mjs')
await buildPage('dist/observe')
mkdirSync('.tmp', { recursive: true })
writeFileSync(builtFrom, present)
