/**
 * `npm run build`: declarations by `tsc`, and code in few files by `rolldown`. Node takes about 0.7 ms for each module that it
 * loads, and a start needs 400 modules. `npm run lint` is what checks the types.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { rolldown } from 'rolldown'

const { exports, bin } = JSON.parse(readFileSync('package.json', 'utf8'))

/** The package's entries, its command, and what tests load of the package: the storage, and the command without its process. */
const doors = [
  ...Object.values(exports).flatMap((entry) => entry.default ?? []),
  bin.keelson,
  './dist/storage/index.js',
  './dist/inspect/cli/command.js',
  './dist/inspect/command/environment.js',
].map((file) => file.slice('./dist/'.length, -'.js'.length))

/** A thread begins with the file that starts it. As entries these get chunks of their own, so a thread loads little else. */
const threads = [
  'spare-maker',
  'thread-blob-host',
  'thread-examination',
  'thread-log-host',
  'thread-projection-writer',
  'thread-shard-copier',
  'thread-snapshot-host',
].map((name) => `storage/threads/${name}`)

rmSync('dist', { recursive: true, force: true })
execFileSync('tsc', ['-p', 'tsconfig.build.json', '--noCheck'], { stdio: 'inherit' })
const bundle = await rolldown({
  input: {
    ...Object.fromEntries([...doors, ...threads].map((name) => [name, `src/${name}.ts`])),
    // Beside the chunk of `thread-door.ts`, which finds it there.
    'chunks/thread-entry': 'src/runtime/threads/thread-entry.ts',
  },
  platform: 'node',
  external: /^[a-z@]/,
  // The index of a layer has no code of its own: who imports one thing from it loads that thing.
  treeshake: { moduleSideEffects: [{ test: /\/src\/[a-z]+\/index\.ts$/, sideEffects: false }] },
})
await bundle.write({
  dir: 'dist',
  sourcemap: true,
  sourcemapExcludeSources: true,
  chunkFileNames: 'chunks/[name]-[hash].js',
  // The declarations have them. Without them Node compiles the code in two thirds of the time.
  comments: { jsdoc: false },
})
await bundle.close()
