/** What the tests of the commands put into a folder before they run one there, and what they look for in its complaint. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Writes the file `name` in `dir`, with the folders above it. */
export const write = (dir: string, name: string, text: string): void => {
  mkdirSync(dirname(join(dir, name)), { recursive: true })
  writeFileSync(join(dir, name), text)
}

/** The first word of what a command said on standard error, without the line that greets. */
export const codeIn = (errors: string): string | undefined => /^([A-Z_]+): /m.exec(errors)?.[1]

/** The module of a worker that says `hanging` when it has to end, and never ends. */
export const hangingWorker = `export const server = {
  init: (_, context) => { context.trapExit(true); return {} },
  calls: {}, casts: {},
  terminate: () => { process.stderr.write('hanging'); return new Promise(() => {}) },
}`

/** A configuration whose tree has one worker, with the module `module`. */
export function treeWith(module: string): string {
  const child = { kind: 'worker', id: 'a', module, options: {} }
  return JSON.stringify({ app: { kind: 'supervisor', id: 'app', options: {}, children: [child] } })
}
