/** What an editor shows where somebody points at a name of the package: TypeScript's language server is asked, as an editor does. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'

/** The members that are asked for, by the expression that they are members of. */
const members: Readonly<Record<string, readonly string[]>> = {
  'App from keelson': [
    ...['store', 'journal', 'control', 'batcher', 'blobs', 'wal', 'registry', 'entity', 'health'],
    ...[
      'healthOfAll',
      'member',
      'deleteWorker',
      'unblockWorker',
      'workerHistory',
      'close',
      'closed',
    ],
  ],
  'Store from keelson': [
    ...['put', 'set', 'getSet', 'append', 'compareAndSet', 'delete', 'putMany', 'batch', 'lock'],
    ...['get', 'load', 'range', 'page', 'entries', 'watch', 'settled'],
  ],
  'EntityHandle from keelson': ['ref', 'state', 'load', 'history', 'list', 'counts', 'blocked'],
  'ClusterOptions from keelson': ['engine', 'member', 'placement', 'leaseMs'],
  'ListOptions from keelson': ['where', 'prefix', 'limit', 'cursor'],
  'DurableServer<any, any> from keelson': ['version', 'migrate', 'retry', 'index', 'isFinal'],
  'Row from keelson/flow': ['since', 'attempt'],
  'Flow from keelson/flow': ['start', 'get', 'list', 'undo', 'steps', 'watch', 'place'],
}

/** The language server, and the file in which it is asked. */
class Editor {
  readonly #server: ChildProcess
  readonly #answers = new Map<number, (result: unknown) => void>()
  #read = Buffer.alloc(0)
  #asked = 0

  constructor() {
    this.#server = spawn(join('node_modules', '.bin', 'tsc'), ['--lsp', '--stdio'])
    this.#server.stdout?.on('data', (bytes: Buffer) => this.#take(bytes))
  }

  ask(method: string, params: unknown): Promise<unknown> {
    this.#asked += 1
    const id = this.#asked
    this.tell(method, params, id)
    return new Promise((resolve) => this.#answers.set(id, resolve))
  }

  tell(method: string, params: unknown, id?: number): void {
    const body = JSON.stringify({ jsonrpc: '2.0', id, method, params })
    this.#server.stdin?.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
  }

  end(): void {
    this.#server.kill()
  }

  #take(bytes: Buffer): void {
    this.#read = Buffer.concat([this.#read, bytes])
    for (;;) {
      const head = this.#read.indexOf('\r\n\r\n')
      const length = Number(
        /Content-Length: (\d+)/.exec(this.#read.toString('latin1', 0, head))?.[1],
      )
      if (head < 0 || this.#read.length < head + 4 + length) return
      const { id, method, result } = JSON.parse(
        this.#read.toString('utf8', head + 4, head + 4 + length),
      )
      this.#read = this.#read.subarray(head + 4 + length)
      // What the server asks of an editor, such as its settings, is answered with nothing.
      if (method !== undefined && id !== undefined) this.#answer(id)
      else if (id !== undefined) this.#answers.get(id)?.(result)
    }
  }

  #answer(id: number): void {
    const body = JSON.stringify({ jsonrpc: '2.0', id, result: null })
    this.#server.stdin?.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
  }
}

const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as {
  exports: Record<string, { types?: string }>
}

/** The names that an entry of the package exports, by the entry. */
const exported = Object.entries(exports).flatMap(([entry, { types }]) => {
  if (types === undefined) return []
  const lists = readFileSync(types, 'utf8').matchAll(/^export \{([^}]*)\}/gm)
  const names = [...lists].flatMap(([, list]) => list?.split(',') ?? [])
  const last = names.map(
    (name) =>
      name
        .trim()
        .replace(/^type /, '')
        .split(' as ')
        .at(-1) ?? '',
  )
  return [{ from: entry.replace('.', 'keelson'), names: last.filter((name) => name !== '') }]
})

mkdirSync('.tmp', { recursive: true })
const dir = mkdtempSync(join(process.cwd(), '.tmp', 'hover-'))
const file = join(dir, 'hover.ts')
const editor = new Editor()

/** The text of the file, and where an editor points at each name. */
const lines: string[] = []
const points: { readonly name: string; readonly line: number; readonly character: number }[] = []
for (const { from, names } of exported) {
  lines.push('import {')
  for (const name of names) {
    points.push({ name: `${name} from ${from}`, line: lines.length, character: 0 })
    lines.push(`${name} as _${lines.length},`)
  }
  lines.push(`} from '${from}'`)
}
for (const [type, names] of Object.entries(members)) {
  const [, name, given, from] = /^(\w+)(<.*>)? from (.*)$/.exec(type) ?? []
  const own = `_${lines.length}`
  lines.push(`import type { ${name} as ${own}T } from '${from}'`)
  lines.push(`declare const ${own}: ${own}T${given ?? ''}`)
  for (const member of names) {
    points.push({ name: `${name}.${member}`, line: lines.length, character: own.length + 1 })
    lines.push(`${own}.${member}`)
  }
}

beforeAll(async () => {
  const compilerOptions = { module: 'nodenext', strict: true, noEmit: true, types: ['node'] }
  writeFileSync(
    join(dir, 'tsconfig.json'),
    JSON.stringify({ compilerOptions, files: ['hover.ts'] }),
  )
  writeFileSync(file, lines.join('\n'))
  const capabilities = { textDocument: { hover: { contentFormat: ['markdown'] } } }
  await editor.ask('initialize', { processId: null, rootUri: null, capabilities })
  editor.tell('initialized', {})
  const textDocument = { uri: `${pathToFileURL(file)}`, languageId: 'typescript', version: 1 }
  editor.tell('textDocument/didOpen', { textDocument: { ...textDocument, text: lines.join('\n') } })
})

afterAll(() => {
  editor.end()
  rmSync(dir, { recursive: true, force: true })
})

/** What an editor shows at a point: the type in the first part, the comment in the others. */
const shownAt = async ({ line, character }: (typeof points)[number]): Promise<string> => {
  const position = { line, character }
  const asked = { textDocument: { uri: `${pathToFileURL(file)}` }, position }
  const hover = (await editor.ask('textDocument/hover', asked)) as { contents: unknown } | null
  const { contents } = hover ?? {}
  return typeof contents === 'string' ? contents : ((contents as { value: string })?.value ?? '')
}

test('every exported name and 50 members show their comment in an editor', async () => {
  const silent: string[] = []
  for (const point of points) {
    const shown = await shownAt(point)
    // A module that is exported as a whole has no comment of its own.
    if (!/```\s+\S/.test(shown) && !shown.includes('namespace')) silent.push(point.name)
  }
  expect(silent).toEqual([])
  expect(points.filter(({ name }) => name.includes('.')).length).toBeGreaterThanOrEqual(50)
}, 60_000)
