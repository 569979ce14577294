/** The rules of ARCHITECTURE.md about layers, doors and files, enforced. Every exception stands here by name. */
import { readFileSync } from 'node:fs'
import { parseAst } from 'rolldown/parseAst'
import { describe, expect, test } from 'vitest'
import { rooms } from './rooms.ts'
import { codeOf, type SourceFile, sourceFiles } from './support/source-files.ts'

const sources = sourceFiles('src')
const tests = sourceFiles('test')
const byPath = new Map(sources.map((file) => [file.path, file]))

/** Which layers a layer may import; `leaf` files may be imported by all. */
const mayImport: Record<string, readonly string[]> = {
  index: ['inspect', 'supervisors', 'actors', 'runtime', 'storage'],
  inspect: ['observe', 'flow', 'members', 'supervisors', 'actors', 'runtime', 'tools', 'storage'],
  adapters: ['supervisors', 'actors', 'runtime', 'tools', 'storage'],
  flow: ['supervisors', 'actors', 'runtime', 'storage'],
  testing: ['flow', 'members', 'supervisors', 'actors', 'runtime', 'storage'],
  members: ['supervisors', 'actors', 'runtime', 'storage'],
  supervisors: ['actors', 'runtime', 'storage'],
  actors: ['runtime', 'storage'],
  tools: ['storage'],
  runtime: [],
  storage: [],
  observe: [],
  leaf: [],
}
const leaves = [
  ...['src/errors.ts', 'src/clock.ts', 'src/check.ts', 'src/own-names.ts', 'src/redaction.ts'],
  'src/trace-context.ts',
  'src/package-version.ts',
  'src/cut-copies.ts',
  'src/process-events.ts',
  ...['src/thrown.ts', 'src/value-text.ts', 'src/bytes/'],
  ...['src/failure-record.ts', 'src/user-frames.ts', 'src/schema.ts'],
]
const isLeaf = (path: string): boolean => leaves.some((leaf) => path.startsWith(leaf))

/** Outside modules that do nothing outside: every file may import them. */
const harmless = [
  'node:path',
  'node:url',
  'node:util',
  'node:buffer',
  'node:stream',
  'node:stream/promises',
]

/** Every other outside module, and who may import it. What is not named here may not be imported at all. */
const doors: Record<string, readonly string[]> = {
  'node:fs': ['src/storage/disk/node-disk.ts', 'src/storage/disk/folder-socket.ts', 'src/inspect/'],
  'node:fs/promises': ['src/inspect/'],
  lmdb: ['src/storage/lmdb/lmdb-environment.ts'],
  // Nobody else loads it: its extensions are state of its module.
  msgpackr: ['src/storage/values/own-msgpackr.ts'],
  'node:module': [
    'src/storage/values/own-msgpackr.ts',
    // Reads package.json.
    'src/package-version.ts',
    'src/inspect/rehearsal/guard.ts',
    'src/inspect/rehearsal/rehearsal-judge.ts',
    // Sets the draws of turns that are run again.
    'src/actors/rehearsal/drawn.ts',
  ],
  'node:async_hooks': ['src/runtime/queues/async-context.ts'],
  // Storage asks its threads in order over shared memory, runtime relays messages of servers; the two do not know each other.
  'node:worker_threads': [
    'src/storage/threads/worker-thread.ts',
    'src/runtime/threads/thread-door.ts',
    // PGlite alone runs there.
    'src/adapters/postgres/pglite-database.ts',
    // Refuses threads.
    'src/inspect/rehearsal/guard.ts',
  ],
  'node:dgram': ['src/inspect/rehearsal/guard.ts'],
  'node:dns': ['src/inspect/rehearsal/guard.ts'],
  'node:child_process': [
    'src/storage/disk/folder-lock.ts',
    'src/storage/disk/lock-sign.ts',
    'src/inspect/cli/run-command.ts',
    'src/inspect/cli/dev-command.ts',
    'src/inspect/cli/observe-command.ts',
    // The command that judges a backup for the prompt.
    'src/inspect/prompt/rehearsal-words.ts',
    'src/inspect/rehearsal/',
  ],
  'node:cluster': ['src/inspect/members/'],
  // Only there the number of listeners that Node warns of can be set.
  'node:events': ['src/members/starting/member-start.ts'],
  'node:inspector': ['src/inspect/members/member-link.ts'],
  'node:console': ['src/inspect/attach/attached-prompt.ts'],
  'node:tls': ['src/storage/disk/tls-socket.ts'],
  'node:net': [
    'src/storage/disk/lock-sign.ts',
    'src/storage/disk/folder-socket.ts',
    'src/inspect/page-server/',
    'src/inspect/rehearsal/guard.ts',
  ],
  'node:perf_hooks': ['src/clock.ts'],
  '@opentelemetry/api': ['src/adapters/otel/otel.ts', 'src/adapters/otel/metering.ts'],
  'abstract-level': ['src/adapters/level/level.ts'],
  // The package's own entry, so that it loads `pg` only where it is wanted.
  'keelson/postgres': ['src/inspect/folder/restore-command.ts'],
  '@modelcontextprotocol/sdk/server/index.js': ['src/inspect/mcp/mcp-server.ts'],
  '@modelcontextprotocol/sdk/server/stdio.js': ['src/inspect/mcp/mcp-server.ts'],
  '@modelcontextprotocol/sdk/types.js': ['src/inspect/mcp/mcp-server.ts'],
  '@nats-io/transport-node': ['src/adapters/nats/nats-link.ts'],
  pg: ['src/adapters/postgres/pg-database.ts'],
  'pg-copy-streams': ['src/adapters/postgres/pg-database.ts'],
  '@electric-sql/pglite': ['src/adapters/postgres/pglite-database.ts'],
  preact: ['src/observe/page/', 'src/observe/views/', 'src/observe/widgets/'],
  'preact/hooks': ['src/observe/page/', 'src/observe/views/', 'src/observe/widgets/'],
  uplot: ['src/observe/widgets/chart.tsx'],
  '@dagrejs/dagre': ['src/observe/widgets/machine-layout.ts'],
  microdiff: ['src/observe/widgets/values.tsx'],
  croner: ['src/flow/schedule/cron.ts'],
  jiti: ['src/supervisors/users-tree/module-loader.ts'],
  eventemitter3: ['src/runtime/words/telemetry.ts'],
  // One file uses it; the others around it name its types.
  xstate: ['src/runtime/machine/', 'src/runtime/state-machine/'],
  'node:crypto': [
    'src/clock.ts',
    'src/actors/store/page-cursor.ts',
    'src/bytes/sha256.ts',
    'src/bytes/ed25519.ts',
    // Sets the draws of turns that are run again.
    'src/actors/rehearsal/drawn.ts',
    'src/inspect/page-server/admission.ts',
  ],
  'node:os': [
    'src/storage/disk/folder-lock.ts',
    'src/storage/disk/folder-socket.ts',
    'src/storage/lmdb/lmdb-environment.ts',
    'src/storage/threads/worker-thread.ts',
    'src/inspect/',
    // The directory of a cluster says where a member runs.
    'src/members/starting/member-start.ts',
  ],
  'node:zlib': ['src/bytes/crc32.ts', 'src/inspect/page-server/page-server.ts'],
  'node:http': ['src/adapters/streams/', 'src/inspect/page-server/'],
  'node:vm': ['src/inspect/'],
  'node:readline': ['src/inspect/'],
}

/** Files that nothing imports: entry points. */
const entryPoints = [
  'src/index.ts',
  'src/inspect/cli/cli.ts',
  'src/inspect/rehearsal/rehearsal-judge.ts',
  'src/storage/wal/wal.ts',
  'src/actors/log/wal-server.ts',
  'src/runtime/state-machine/state-machine.ts',
  'src/testing/index.ts',
  'src/flow/index.ts',
  'src/inspect/operations/operations.ts',
  'src/inspect/page-server/observer.ts',
  'src/adapters/level/level.ts',
  'src/adapters/otel/otel.ts',
  'src/adapters/streams/streams.ts',
  'src/adapters/nats/nats.ts',
  'src/adapters/postgres/postgres.ts',
  // No user can reach it yet: `start` has no option for several members.
  'src/adapters/postgres/postgres-engine.ts',
  // A browser does.
  'src/observe/page/main.tsx',
  // Node loads it as a thread.
  'src/runtime/threads/thread-entry.ts',
]

/** Files that one file of their folder imports and whose head does not say why they are apart: the reason. */
const reasonsApart: Readonly<Record<string, string>> = {}

const layerOf = (path: string): string =>
  isLeaf(path) ? 'leaf' : path === 'src/index.ts' ? 'index' : (path.split('/')[1] ?? '')

/** The room of a file, or '' when it stands in none. */
const roomOf = (path: string): string => {
  const [, layer = '', room = '', file] = path.split('/')
  return rooms[layer] && file ? room : ''
}

/** `path: what` for each breach; a test expects none, so that a failure names file and rule. */
const breaches = (find: (file: SourceFile) => Iterable<string>, files = sources): string[] =>
  files.flatMap((file) => [...find(file)].map((what) => `${file.path}: ${what}`))

describe('the sources', () => {
  test('import one way, from layer to layer', () => {
    const found = breaches((file) =>
      file.targets.filter((target) => {
        const [from, to] = [layerOf(file.path), layerOf(target)]
        return to !== 'leaf' && from !== to && !(mayImport[from] ?? []).includes(to)
      }),
    )
    expect(found).toEqual([])
  })

  test('stand in a room of their layer, beside it only its index.ts', () => {
    const found = sources.filter(({ path }) => {
      const [, layer = '', room = '', ...rest] = path.split('/')
      const known = rooms[layer]
      return known && (rest.length === 0 ? room !== 'index.ts' : rest.length > 1 || !known[room])
    })
    expect(found.map(({ path }) => path)).toEqual([])
  })

  test('import one way, from room to room, as the table of rooms says', () => {
    const found = breaches((file) =>
      file.targets.filter((target) => {
        const [from, to] = [roomOf(file.path), roomOf(target)]
        return (
          from &&
          to &&
          from !== to &&
          !rooms[layerOf(file.path)]?.[from]?.includes(to) &&
          layerOf(target) === layerOf(file.path)
        )
      }),
    )
    expect(found).toEqual([])
  })

  test('need every arrow of that table, and none runs upwards', () => {
    const idle = Object.entries(rooms).flatMap(([layer, table]) =>
      Object.entries(table).flatMap(([from, list], index, all) =>
        list
          .filter(
            (to) =>
              all.findIndex(([name]) => name === to) >= index ||
              all.findIndex(([name]) => name === to) < 0 ||
              !sources.some(
                ({ path, targets }) =>
                  path.startsWith(`src/${layer}/${from}/`) &&
                  targets.some((target) => target.startsWith(`src/${layer}/${to}/`)),
              ),
          )
          .map((to) => `${layer}: ${from} → ${to}`),
      ),
    )
    expect(idle).toEqual([])
  })

  test('import from another folder only its index.ts, but for the surface, which loads what it names', () => {
    const found = breaches((file) =>
      file.targets.filter(
        (target) =>
          layerOf(target) !== 'leaf' &&
          layerOf(file.path) !== 'index' &&
          layerOf(target) !== layerOf(file.path) &&
          !/^src\/[a-z]+\/index\.ts$/.test(target),
      ),
    )
    expect(found).toEqual([])
  })

  test('import within a folder the file that has the thing, not the index', () => {
    const found = breaches((file) =>
      file.targets.filter(
        (target) => layerOf(target) === layerOf(file.path) && target.endsWith('/index.ts'),
      ),
    )
    expect(found).toEqual([])
  })

  test('have no cycle of imports, type imports included', () => {
    const done = new Set<string>()
    const cycles: string[] = []
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(' → '))
      if (done.has(path) || trail.includes(path)) return
      for (const target of byPath.get(path)?.targets ?? []) visit(target, [...trail, path])
      done.add(path)
    }
    for (const { path } of sources) visit(path, [])
    expect(cycles).toEqual([])
  })

  test('reach each outside thing through one door', () => {
    const found = breaches((file) =>
      file.imports.filter(
        (name) =>
          !name.startsWith('.') &&
          !harmless.includes(name) &&
          !(doors[name] ?? []).some((door) => file.path.startsWith(door)),
      ),
    )
    const hidden = breaches(
      (file) =>
        [...codeOf(file).matchAll(/\b(?:createRequire|(?<![#.\w])require\(|randomUUID)/g)].map(
          ([what]) => what,
        ),
      // A module that the application does not share can only be required.
      sources.filter(({ path }) => !doors['node:module']?.includes(path)),
    )
    expect([...found, ...hidden]).toEqual([])
  })

  test('touch time and chance only in clock.ts', () => {
    const pattern =
      /\b(setTimeout|setInterval|setImmediate|Date\.now|performance\.now|Math\.random|new Date\(\))/g
    const found = breaches((file) =>
      isLeaf(file.path) || file.path === 'src/observe/widgets/browser.ts'
        ? []
        : [...codeOf(file).matchAll(pattern)].map(([what]) => what),
    )
    expect(found).toEqual([])
  })

  test('listen to events of the process only in process-events.ts', () => {
    const pattern =
      /\bprocess\.(?:on|once|off|addListener|removeListener|removeAllListeners|prepend\w+|listeners)\b/g
    const found = breaches((file) =>
      file.path === 'src/process-events.ts' ? [] : (codeOf(file).match(pattern) ?? []),
    )
    expect(found).toEqual([])
  })

  test('keep no mutable state in a module', () => {
    const found = breaches((file) =>
      [
        ...codeOf(file).matchAll(
          /^(?:export )?(?:(?:let|var) .*|const \w+(?:: (?!Readonly)[^=]+)? = (?:new (?:Map|Set|WeakMap|Array)(?:<.*>)?\(\)|\[\]|\{\}))$/gm,
        ),
      ].map(([line]) => line),
    )
    expect(found).toEqual([])
  })

  test('have no drawer for odds and ends', () => {
    const found = sources.filter(({ path }) =>
      /\/(utils?|helpers?|common|types|misc)\.ts$/.test(path),
    )
    expect(found.map(({ path }) => path)).toEqual([])
  })

  test('are all imported by something', () => {
    const imported = new Set(sources.flatMap((file) => file.targets))
    const found = sources.filter(({ path }) => !imported.has(path) && !entryPoints.includes(path))
    expect(found.map(({ path }) => path)).toEqual([])
  })

  test('with one importer, in their folder, say why they are apart from it', () => {
    const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/'))
    const unexplained = sources.filter(({ path, text }) => {
      const [importer, ...more] = sources.filter(({ targets }) => targets.includes(path))
      if (importer === undefined || more.length > 0) return false
      if (folderOf(importer.path) !== folderOf(path)) return false
      const isLate = importer.text.includes(`import('.${path.slice(path.lastIndexOf('/'))}')`)
      return !isLate && !/\b(?:Pure|apart)\b/.test(text.slice(0, text.indexOf('*/')))
    })
    expect(unexplained.map(({ path }) => path)).toEqual(Object.keys(reasonsApart).sort())
  })

  test('of the product load nothing of `keelson/testing`', () => {
    const loaded = new Set<string>()
    const load = (path: string): void => {
      if (loaded.has(path)) return
      loaded.add(path)
      for (const target of byPath.get(path)?.targets ?? []) load(target)
    }
    for (const path of entryPoints) if (path !== 'src/testing/index.ts') load(path)
    expect(loaded.size).toBeGreaterThan(100)
    expect([...loaded].filter((path) => path.startsWith('src/testing/'))).toEqual([])
    // Threads are entered by the path of their file.
    const named = breaches((file) =>
      file.path.startsWith('src/testing/') ? [] : (codeOf(file).match(/testing\//g) ?? []),
    )
    expect(named).toEqual([])
  })

  test('ask `isError` and `isKeelsonError`, because `instanceof` throws for a revoked proxy', () => {
    const readers = ['src/thrown.ts', 'src/errors.ts']
    const pattern = /\binstanceof (?:Keelson)?Error\b/g
    const others = sources.filter(({ path }) => !readers.includes(path))
    expect(breaches((file) => codeOf(file).match(pattern) ?? [], others)).toEqual([])
  })

  test('have `noOptions` as the default of options, because `{}` has the members of `Object.prototype`', () => {
    const pattern = / = \{\}(?=[,):])|\b(?:options|given) \?\? \{\}/g
    const asked = sources.filter(({ path }) => !path.startsWith('src/observe/'))
    expect(breaches((file) => codeOf(file).match(pattern) ?? [], asked)).toEqual([])
  })

  test('spread no literal: its fields stand where they are, however many lines they take', () => {
    type Node = { readonly type: string; readonly start: number }
    const literals = (node: unknown): readonly string[] => {
      if (typeof node !== 'object' || node === null) return []
      const { type, argument, start } = node as Partial<Node> & {
        readonly argument?: Partial<Node>
      }
      const isFolded =
        type === 'SpreadElement' && /^(?:Object|Array)Expression$/.test(argument?.type ?? '')
      return [...(isFolded ? [`at ${start}`] : []), ...Object.values(node).flatMap(literals)]
    }
    const found = (file: SourceFile) =>
      literals(parseAst(file.text, { lang: file.path.endsWith('x') ? 'tsx' : 'ts' }))
    const likely = sources.filter(({ text }) => /\.\.\.[[{]/.test(text))
    expect(breaches(found, likely)).toEqual([])
  })

  test('write JSON that is read back with `plainJson`', () => {
    const pattern = /\bJSON\.stringify\b/g
    const files = /^src\/(?:storage|actors|adapters|flow)\//
    // It names a member in a text for people.
    const others = ['src/actors/entities/state-changes.ts']
    const asked = sources.filter(({ path }) => files.test(path) && !others.includes(path))
    expect(breaches((file) => codeOf(file).match(pattern) ?? [], asked)).toEqual([])
  })

  test('never import tests', () => {
    expect(breaches((file) => file.targets.filter((target) => !target.startsWith('src/')))).toEqual(
      [],
    )
  })

  test('begin with a comment that says what the file is', () => {
    expect(
      sources.filter(({ text }) => !/^(#!.*\n)?\/\*\*/.test(text)).map(({ path }) => path),
    ).toEqual([])
  })

  test('say the contract of every exported name', () => {
    const found = breaches((file) =>
      file.lines.flatMap((line, index) => {
        const name =
          /^export (?:declare )?(?:abstract )?(?:async )?(?:const|function\*?|class|type|interface) (\w+)/.exec(
            line,
          )?.[1]
        const above = file.lines[index - 1] ?? ''
        const overload = name && above.startsWith(`export function ${name}`)
        return name && !above.trimEnd().endsWith('*/') && !overload ? [name] : []
      }),
    )
    expect(found).toEqual([])
  })

  test('stand twenty to a folder at most', () => {
    const counts = new Map<string, number>()
    for (const { path } of sources) {
      const folder = path.slice(0, path.lastIndexOf('/'))
      counts.set(folder, (counts.get(folder) ?? 0) + 1)
    }
    expect([...counts].filter(([, count]) => count > 20)).toEqual([])
  })

  test('name the process, the client or the code that they speak of', () => {
    const pattern = /\b(?:whoever|whomever|some(?:body|one)|any(?:body|one)|every(?:body|one))\b/gi
    expect(breaches((file) => file.text.match(pattern) ?? [])).toEqual([])
  })

  test('are at most 900 lines long', () => {
    const found = sources.filter(({ lines }) => lines.length > 901)
    expect(found.map(({ path, lines }) => `${path}: ${lines.length} lines`)).toEqual([])
  })
})

/** The code of a test without the texts of programs that it gives to other processes. */
const ownCode = (file: SourceFile): string => codeOf(file).replace(/`[^`]*`|"[^"\n]*"/g, '')

describe('sources and tests', () => {
  // This file names what it looks for.
  const all = [...sources, ...tests.filter(({ path }) => path !== 'test/tidy.test.ts')]

  test('leave nothing behind for later', () => {
    const pattern = /\b(TODO|FIXME|XXX)\b|\.only\(|describe\.todo|@ts-ignore|\bas any\b/g
    expect(breaches((file) => [...file.text.matchAll(pattern)].map(([what]) => what), all)).toEqual(
      [],
    )
  })

  test('name no folder of one machine', () => {
    const pattern = /['"`](\/(?:work|root|home|farm)\/|\/tmp\/[a-z])/g
    expect(breaches((file) => [...file.text.matchAll(pattern)].map(([what]) => what), all)).toEqual(
      [],
    )
  })

  test('do not wait for real time', () => {
    // `context.sleep` is on the clock of the system, which tests move.
    const pattern = /\b(setTimeout|setInterval|(?<!\.)sleep)\(/g
    const found = breaches(
      (file) => [...ownCode(file).matchAll(pattern)].map(([what]) => what),
      tests.filter(({ path }) => path !== 'test/tidy.test.ts'),
    )
    expect(found).toEqual([])
  })
})

describe('the tests', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    scripts: Record<string, string>
  }

  test('run in three tiers, each test in the last two of them, and the second in CI', () => {
    // The tiers differ in what a test reads from `support/tier.ts`, and in the files and the tag left out.
    expect(scripts.test).toMatch(/ && vitest run --tags-filter '!slow'$/)
    for (const tier of ['ci', 'all'])
      expect(scripts[`test:${tier}`]).toBe(
        scripts.test?.replace(/vitest run .*$/, `KEELSON_TIER=${tier} vitest run`),
      )
    expect(readFileSync('.ci/run', 'utf8')).toMatch(
      /^npm ci .*&& tests all 45 npm run test:ci -- /m,
    )
    const config = readFileSync('vitest.config.ts', 'utf8')
    expect(config).toContain("include: ['test/**/*.test.ts', 'examples/**/*.test.ts']")
    expect(config.match(/exclude.*/g)).toEqual([
      "exclude: [...configDefaults.exclude, ...(triesLong ? [] : ['**/*.{long,slow}.test.ts'])],",
    ])
  })

  test('mirror the rooms of the sources', () => {
    const roomsIn = (files: readonly SourceFile[]): string[] => {
      const found = files.map(({ path }) => path.split('/').slice(1, -1).join('/'))
      return [...new Set(found)].filter(
        (room) => rooms[room.split('/')[0] ?? ''] && room.includes('/'),
      )
    }
    const mirrored = roomsIn(tests.filter(({ path }) => path.endsWith('.test.ts')))
    const made = roomsIn(sources)
    expect(mirrored.filter((room) => !made.includes(room))).toEqual([])
    expect(made.filter((room) => !mirrored.includes(room))).toEqual([])
  })

  test('have claims for titles: numbers of the pages of evidence are their tags', () => {
    const pattern = /\b(?:test|describe)\b[^'"`\n]*\(\s*['"`][A-Z]\d+:? [^'"`]*/g
    expect(breaches((file) => file.text.match(pattern) ?? [], tests)).toEqual([])
  })

  test('are skipped only with a printed reason', () => {
    const pattern = /\.(?:skip|skipIf|runIf)\((?!lacks\()/g
    expect(breaches((file) => codeOf(file).match(pattern) ?? [], tests)).toEqual([])
  })

  test('tell bytes apart by content, length and kind, with `support/equal-bytes.ts`', () => {
    expect(readFileSync('vitest.config.ts', 'utf8')).toContain('test/support/equal-bytes.ts')
    expect({ bytes: [Uint8Array.of(1, 2)] }).toEqual({ bytes: [Uint8Array.of(1, 2)] })
    for (const other of [Uint8Array.of(1, 3), Uint8Array.of(1), Buffer.of(1, 2), [1, 2]])
      expect({ bytes: [Uint8Array.of(1, 2)] }).not.toEqual({ bytes: [other] })
  })

  test('stand in files named *.test.ts: every other file is imported, or a program that is run', () => {
    const used = new Set(tests.flatMap(({ targets }) => targets))
    const isRun = (path: string): boolean => {
      const name = path.slice(path.lastIndexOf('/') + 1)
      return tests.some((file) => file.path !== path && file.text.includes(name))
    }
    const found = tests.filter(
      ({ path }) =>
        !/\.test\.ts$|\.types\.ts$|\/main\.ts$/.test(path) && !used.has(path) && !isRun(path),
    )
    expect(found.map(({ path }) => path)).toEqual([])
  })
})

/** How often the runtime asserts a type, apart from `as const`. Only lower it. */
const assertionsMax = 85

test('the runtime asserts fewer and fewer types', () => {
  const found = sources
    .filter(({ path }) => path.startsWith('src/runtime/'))
    .map((file) => codeOf(file).replace(/^(?:import|export) (?:type )?[*{][^']*''/gm, ''))
    .flatMap((code) => code.match(/\bas (?!const\b)/g) ?? [])
  expect(found.length).toBeLessThanOrEqual(assertionsMax)
})

/**
 * How many literals of hot rooms begin with a spread, `{ ...a, b }`. V8 copies such an object by a slow way: for a
 * run of three steps it was an eighth of the time. Only lower it; the fields written out, or `Object.assign` for an
 * object of ours, are as short.
 */
const spreadsMax = {
  'src/flow/runs/': 31,
  'src/actors/turns/': 12,
  'src/actors/durable/': 16,
  'src/storage/rows/': 2,
  'src/runtime/': 53,
}

test.each(Object.entries(spreadsMax))(
  '%s has fewer and fewer literals that begin with a spread',
  (room, max) => {
    const found = sources
      .filter(({ path }) => path.startsWith(room))
      .flatMap((file) => codeOf(file).match(/\{\s*\.\.\.\w[^{}]*\}/g) ?? [])
      .filter((literal) => literal.includes(','))
    expect(found.length, found.join('\n')).toBeLessThanOrEqual(max)
  },
)

describe('the lock file', () => {
  const text = readFileSync('package-lock.json', 'utf8')

  test('names no registry', () => {
    expect(text).not.toMatch(/"resolved"/)
  })

  test('has every optional package of every system, without which `npm ci` of npm 11 refuses it', () => {
    const { packages } = JSON.parse(text) as {
      packages: Record<string, { optionalDependencies?: Record<string, string> }>
    }
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        (name) => !packages[`node_modules/${name}`] && !packages[`${path}/node_modules/${name}`],
      ),
    )
    expect(missing).toEqual([])
  })
})
