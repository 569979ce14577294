/**
 * Copies of XState in which one private part has another name, as a later minor may have it: as the copy that Keelson
 * itself loads, and as one that an application brings. A machine of such a copy is refused where its server is made.
 */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import type { AnyStateMachine } from 'xstate'
import { StateMachine } from '../../../src/runtime/state-machine/state-machine.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const fence = ['machine-door.ts', 'machine-actors.ts']
const codeOf = (file: string): string =>
  readFileSync(`src/runtime/machine/${file}`, 'utf8').replaceAll(/\/\*.*?\*\/|\/\/.*$/gms, '')

/** Names that are not in XState's types. */
const namesIn = (code: string): readonly string[] =>
  [...new Set(code.match(/\b(?:_[a-z]\w*|__xstatenode|eventListeners)\b/g))].sort()

const names = namesIn(fence.map(codeOf).join())

/** A copy of XState in a folder, with `name` renamed; its entry. */
const copyWithout = (name: string): string => {
  const dist = join(dirname(createRequire(import.meta.url).resolve('xstate/package.json')), 'dist')
  const folder = tempFolder()
  for (const file of readdirSync(dist).filter((each) => /(?<!development)\.esm\.js$/.test(each))) {
    const code = readFileSync(join(dist, file), 'utf8')
    const renamed = code.replaceAll(new RegExp(`\\b${name}\\b`, 'g'), `${name}Renamed`)
    writeFileSync(join(folder, file), renamed)
  }
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  return pathToFileURL(join(folder, 'xstate.esm.js')).href
}

type XState = { readonly createMachine: (config: object) => AnyStateMachine }

const codeAt = (run: () => unknown): unknown => {
  try {
    return run() && 'runs'
  } catch (error) {
    return (error as { code?: unknown }).code
  }
}

test('private names of XState are in two files alone', () => {
  const others = readdirSync('src/runtime/machine').filter((file) => !fence.includes(file))
  const found = others.map((file) => [file, namesIn(codeOf(file))] as const)

  expect(names.length).toBeGreaterThan(12)
  expect(found.filter(([, inside]) => inside.length > 0)).toEqual([])
})

// The observables of an application's own copy cannot be reached from its machine.
test.each(names.filter((name) => name !== '_subscription'))(
  'XState with another name for %s is refused, if an application brings it',
  async (name) => {
    const { createMachine }: XState = await import(/* @vite-ignore */ copyWithout(name))

    expect(codeAt(() => StateMachine.server(createMachine({ id: 'light' })))).toBe('CONFIG')
  },
)

test.each(names)(
  'XState with another name for %s is refused, if Keelson loads it',
  async (name) => {
    const hooks = `export const resolve = (name, context, next) =>
      name === 'xstate' ? { url: '${copyWithout(name)}', shortCircuit: true } : next(name, context)`
    const program = `
      import { register } from 'node:module'
      register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hooks)}`)})
      const { createMachine } = await import('xstate')
      const { StateMachine } = await import('keelson/state-machine')
      try {
        StateMachine.server(createMachine({ id: 'light' }))
        console.log('runs')
      } catch (error) {
        console.log(error.code)
      }`
    const node = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program])

    expect((await node).stdout.trim()).toBe('CONFIG')
  },
)

test('a copy of XState in which nothing has another name is taken', async () => {
  const { createMachine }: XState = await import(/* @vite-ignore */ copyWithout('nothing'))

  expect(codeAt(() => StateMachine.server(createMachine({ id: 'light' })))).toBe('runs')
})
