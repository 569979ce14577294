/** What importing the package loads, as it is built: its modules and those that they import in turn, without `import()`. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, test } from 'vitest'

const dist = join(import.meta.dirname, '../dist')

const importPattern = /^(?:import|(?:import|export)\b[^'";]*? from) ?"([^"]+)"/gm

/** The modules of `src` that a file of `dist` has the code of. A file that only exports those of others has no map. */
const sourcesOf = (file: string): string[] => {
  if (!existsSync(`${file}.map`)) return []
  const { sources } = JSON.parse(readFileSync(`${file}.map`, 'utf8')) as { sources: string[] }
  return sources.map((source) => relative(join(dist, '../src'), join(dirname(file), source)))
}

/** The modules of `src` and the outside modules that an import of a file of `dist` loads. */
const loadedBy = (...entries: string[]): Set<string> => {
  const found = new Set<string>()
  const files = new Set<string>()
  const visit = (file: string): void => {
    if (files.has(file)) return
    files.add(file)
    for (const source of sourcesOf(file)) found.add(source)
    for (const [, name = ''] of readFileSync(file, 'utf8').matchAll(importPattern)) {
      if (name.startsWith('.')) visit(join(dirname(file), name))
      else found.add(name)
    }
  }
  for (const entry of entries) visit(join(dist, entry))
  return found
}

/** The files in which code stands that is loaded late: `name` and a hash. */
const chunksOf = (name: string): string[] =>
  readdirSync(join(dist, 'chunks'))
    .filter((file) => file.startsWith(`${name}-`) && file.endsWith('.js'))
    .map((file) => `chunks/${file}`)

const among = (loaded: Set<string>, pattern: RegExp): string[] =>
  [...loaded].filter((name) => pattern.test(name))

test('importing keelson loads the runtime, the names of the actors and the checks of options, and neither the rest of the storage nor the prompt nor the command line', () => {
  const loaded = loadedBy('index.js')

  expect(among(loaded, /^runtime\//).length).toBeGreaterThan(20)
  expect(among(loaded, /^(bytes|storage|testing|inspect\/(cli|command|folder))\//).sort()).toEqual([
    'bytes/crc32.ts',
    'bytes/ed25519.ts',
    'bytes/u64.ts',
    'bytes/utf8.ts',
    'storage/disk/socket-address.ts',
    'storage/projections/projection-kinds.ts',
    'storage/segments/log-settings.ts',
    'storage/values/key.ts',
  ])
  expect(among(loaded, /^actors\//).sort()).toEqual([
    'actors/control/actor-names.ts',
    'actors/core/settings.ts',
    'actors/core/shard-name.ts',
    'actors/core/write-windows.ts',
    'actors/replication/replication-options.ts',
  ])
  expect(among(loaded, /^inspect\/(answers|prompt|views)\//).sort()).toEqual([
    'inspect/answers/process-pages.ts',
    'inspect/answers/tree-survey.ts',
    'inspect/views/state-view.ts',
    'inspect/views/tree-view.ts',
  ])
  expect(
    among(loaded, /^(lmdb|jiti|xstate|node:(readline|vm|fs|worker_threads|child_process))$/),
  ).toEqual([])
})

test('a start without a cluster loads nothing of what members share, and no links', () => {
  const ofMembers = /^members\/|^actors\/entities\/(elsewhere|entity-service)/
  const loaded = loadedBy('index.js', ...chunksOf('instance'), ...chunksOf('machine-ports'))
  const member = loadedBy(...chunksOf('members'))

  expect(among(loaded, /^storage\/threads\//).length).toBeGreaterThan(0)
  expect(among(loaded, ofMembers)).toEqual([])
  expect(among(member, ofMembers).length).toBeGreaterThan(2)
})

test('importing keelson/state-machine loads XState, and nothing of the storage', () => {
  const loaded = loadedBy('runtime/state-machine/state-machine.js')

  expect(among(loaded, /^xstate$/)).toEqual(['xstate'])
  expect(among(loaded, /^(storage|actors|supervisors|inspect)\/|^(lmdb|jiti)$/)).toEqual([])
})

test('importing keelson/wal loads the log, and neither LMDB nor the runtime', () => {
  const loaded = loadedBy('storage/wal/wal.js')

  expect(
    among(loaded, /^(runtime|actors|supervisors|inspect)\/|^(lmdb|jiti|xstate)$|own-msgpackr/),
  ).toEqual([])
})

test('importing keelson/wal-server loads the log and the runtime, and nothing of the store', () => {
  const loaded = loadedBy('actors/log/wal-server.js')

  expect(among(loaded, /^(supervisors|inspect)\/|^(lmdb|jiti|xstate)$|own-msgpackr/)).toEqual([])
  expect(among(loaded, /^actors\//).sort()).toEqual([
    'actors/core/payload-check.ts',
    'actors/log/wal-server.ts',
  ])
})

test('a command loads its own code: help loads neither the prompt nor the storage', () => {
  const loaded = loadedBy('inspect/cli/cli.js')

  expect(among(loaded, /^(storage|actors|supervisors|runtime|inspect\/prompt)\//)).toEqual([])
})

test('a command on a log loads the storage, no runtime, and of the actors only how their rows are laid out', () => {
  for (const command of ['wal-dump', 'wal-salvage']) {
    const loaded = loadedBy(...chunksOf(command))

    expect(among(loaded, /^storage\/examination\//).length, command).toBeGreaterThan(2)
    expect(
      among(
        loaded,
        /^(runtime|actors(?!\/turns\/(memory|retry-policy)\.ts$)|supervisors|inspect\/prompt)\b/,
      ),
      command,
    ).toEqual([])
  }
})

test('the thread that makes spares loads no log', () => {
  const loaded = loadedBy('storage/threads/spare-maker.js')

  expect(among(loaded, /^storage\/ports\/spare-file/).length).toBe(1)
  expect(among(loaded, /^storage\/(log|segments|examination)\//)).toEqual([])
})

test('the thread that syncs files of several logs loads no log', () => {
  const loaded = loadedBy('storage/threads/sync-crew.js')

  expect(among(loaded, /^storage\/threads\/sync-crew/).length).toBe(1)
  expect(among(loaded, /^storage\/(log|segments|examination)\//)).toEqual([])
})
