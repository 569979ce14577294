/** What importing the package loads, as it is built: its modules and those that they import in turn, without `import()`. */
import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, test } from 'vitest'

const dist = join(import.meta.dirname, '../dist')

const importPattern = /^(?:import|(?:import|export)\b[^'";]*? from) '([^']+)'/gm

/** The files of `dist` and the outside modules that an import of `entry` loads. */
const loadedBy = (entry: string): Set<string> => {
  const found = new Set<string>()
  const visit = (file: string): void => {
    const path = relative(dist, file)
    if (found.has(path)) return
    found.add(path)
    for (const [, name = ''] of readFileSync(file, 'utf8').matchAll(importPattern)) {
      if (name.startsWith('.')) visit(join(dirname(file), name))
      else found.add(name)
    }
  }
  visit(join(dist, entry))
  return found
}

const among = (loaded: Set<string>, pattern: RegExp): string[] =>
  [...loaded].filter((name) => pattern.test(name))

test('importing keelson loads the runtime, and neither the storage nor the prompt nor the command line', () => {
  const loaded = loadedBy('index.js')

  expect(among(loaded, /^runtime\//).length).toBeGreaterThan(20)
  expect(among(loaded, /^(storage|actors|testing|inspect\/(cli|command|wal))\//)).toEqual([])
  expect(among(loaded, /^inspect\/prompt\//).sort()).toEqual([
    'inspect/prompt/tree-survey.js',
    'inspect/prompt/tree-view.js',
  ])
  expect(
    among(
      loaded,
      /^(lmdb|jiti|msgpackr|xstate|node:(readline|vm|fs|worker_threads|child_process))$/,
    ),
  ).toEqual([])
})

test('importing keelson/state-machine loads XState, and nothing of the storage', () => {
  const loaded = loadedBy('runtime/state-machine/state-machine.js')

  expect(among(loaded, /^xstate$/)).toEqual(['xstate'])
  expect(among(loaded, /^(storage|actors|supervisors|inspect)\/|^(lmdb|jiti|msgpackr)$/)).toEqual(
    [],
  )
})

test('importing keelson/wal loads the log, and neither LMDB nor the runtime', () => {
  const loaded = loadedBy('storage/wal/wal.js')

  expect(
    among(loaded, /^(runtime|actors|supervisors|inspect)\/|^(lmdb|jiti|msgpackr|xstate)$/),
  ).toEqual([])
})

test('a command loads its own code: help loads neither the prompt nor the storage', () => {
  const loaded = loadedBy('inspect/cli/cli.js')

  expect(among(loaded, /^(storage|actors|supervisors|runtime|inspect\/prompt)\//)).toEqual([])
})

test('a command on a log loads the storage, and neither the runtime nor the actors', () => {
  for (const command of ['wal-verify', 'wal-dump', 'wal-salvage']) {
    const loaded = loadedBy(`inspect/wal/${command}.js`)

    expect(among(loaded, /^storage\/rescue\//).length, command).toBeGreaterThan(2)
    expect(among(loaded, /^(runtime|actors|supervisors|inspect\/prompt)\//), command).toEqual([])
  }
})

test('the thread that makes spares loads no log', () => {
  const loaded = loadedBy('storage/threads/spare-maker.js')

  expect(among(loaded, /^storage\/segments\//).length).toBeGreaterThan(0)
  expect(among(loaded, /^storage\/(log|recovery|rescue)\//)).toEqual([])
})
