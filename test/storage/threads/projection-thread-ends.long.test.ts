/** The end of a process while the thread commits its projection, and the end of that thread. The built package. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, test } from 'vitest'
import { nodeDisk } from '../../../src/storage/disk/node-disk.ts'
import { examineProjection } from '../../../src/storage/lmdb/lmdb-examination.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const built = pathToFileURL(join(import.meta.dirname, '../../../dist/storage/index.js')).href

/** A module that opens a store in `dir`, which is the program's first argument, as `store`, and can `commit(lsn)` 5,000 rows. */
const preamble = `
  import { isMainThread, Worker } from 'node:worker_threads'
  import { lmdbProjections, loadLmdb, nodeDisk, threadProjectionWriters } from ${JSON.stringify(built)}
  const makeWriter = threadProjectionWriters(0)
  const openDatabase = await loadLmdb()
  const opening = () => lmdbProjections(openDatabase, nodeDisk(), () => undefined, makeWriter && { makeWriter }).open(process.argv[1])
  const row = (lsn) => ({ value: { tag: 1, bytes: Buffer.alloc(64, lsn) }, expiresAt: 0 })
  const commitTo = (store) => (lsn) =>
    store.commit(
      Array.from({ length: 5_000 }, (_, at) => ['k' + at, row(lsn)]),
      { walId: '00'.repeat(16), epoch: 1, lsn },
    )
`

type Circumstances = { readonly options?: readonly string[]; readonly env?: NodeJS.ProcessEnv }

const run = (
  program: string,
  args: readonly string[],
  { options = [], env = {} }: Circumstances = {},
) => {
  const { status, signal, stderr, stdout } = spawnSync(
    process.execPath,
    [...options, '--input-type=module', '-e', preamble + program, ...args],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      encoding: 'utf8',
      env: { ...process.env, ...env },
      timeout: 50_000,
      killSignal: 'SIGKILL',
    },
  )
  return { status, signal, stderr, stdout: stdout.trim() }
}

const examined = (dir: string) => examineProjection(nodeDisk(), dir)

describe('the end of a process, while the thread commits', () => {
  const ends = [
    { name: 'process.exit', code: 'process.exit(7)', status: 7, signal: null },
    {
      name: 'an exception that nobody catches',
      code: "throw new Error('!')",
      status: 1,
      signal: null,
    },
    {
      name: 'a rejection that nobody handles',
      code: "void Promise.reject(new Error('!'))",
      status: 1,
      signal: null,
    },
    {
      name: 'SIGINT, as from Ctrl-C,',
      code: "process.kill(process.pid, 'SIGINT')",
      status: null,
      signal: 'SIGINT',
    },
    {
      name: 'SIGKILL',
      code: "process.kill(process.pid, 'SIGKILL')",
      status: null,
      signal: 'SIGKILL',
    },
  ] as const

  test.each(ends)('by $name comes at once and leaves whole commits', (end) => {
    const dir = join(tempFolder(), 'lmdb')
    const program = `
      const commit = commitTo(opening())
      await commit(1)
      setTimeout(() => { ${end.code} }, Number(process.argv[2]))
      for (let lsn = 2; ; lsn++) await commit(lsn)
    `
    for (const delay of [1, 4, 9, 17, 30]) {
      const { status, signal } = run(program, [dir, String(delay)])
      expect({ delay, status, signal }).toEqual({ delay, status: end.status, signal: end.signal })
      expect(examined(dir)).toMatchObject({ state: 'sound', rows: 5_000 })
    }
  })

  test('is the same before the thread has started', () => {
    const dir = join(tempFolder(), 'lmdb')
    const program = `
      void commitTo(opening())(1)
      setTimeout(() => process.exit(7), Number(process.argv[2]))
    `
    for (const delay of [20, 0, 40, 60])
      expect(run(program, [dir, String(delay)])).toMatchObject({ status: 7, signal: null })
    expect(['absent', 'sound']).toContain(examined(dir).state)
  })

  test('without further work waits for the commit, and for nothing else', () => {
    const dir = join(tempFolder(), 'lmdb')
    const { status, stderr } = run('void commitTo(opening())(1)', [dir])
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(examined(dir)).toMatchObject({ state: 'sound', rows: 5_000 })
  })

  test('by process.exit does not wait for a thread outside a transaction', () => {
    const dir = join(tempFolder(), 'lmdb')
    const program = `
      await commitTo(opening())(1)
      process.exit(7)
    `
    expect(run(program, [dir])).toMatchObject({ status: 7, signal: null })
    expect(examined(dir)).toMatchObject({ state: 'sound', rows: 5_000 })
  })
})

describe('without a thread, or after its death', () => {
  const watching = pathToFileURL(
    join(import.meta.dirname, '../../support/programs/watched-threads.mjs'),
  ).href

  /** Runs a program that knows its threads, and answers what it says. */
  const runWatched = (program: string, dir: string, trouble = 'none') => {
    const { status, signal, stderr, stdout } = run(program, [dir], {
      options: [`--import=${watching}`],
      env: { KEELSON_TROUBLE: trouble },
    })
    expect({ status, signal }, stderr).toEqual({ status: 0, signal: null })
    return JSON.parse(stdout) as unknown
  }

  test('a store whose thread died rejects once at most, and then writes by itself', () => {
    const dir = join(tempFolder(), 'lmdb')
    const program = `
      const store = opening()
      const commit = commitTo(store)
      await commit(1)
      await begunThreads[0].terminate()
      const code = await commit(2).catch((error) => error.code)
      await store.settled()
      const afterwards = store.position().lsn
      await commit(3)
      await commit(4)
      console.log(JSON.stringify({ code, afterwards, lsn: store.position().lsn, threads: begunThreads.length }))
      await store.close()
    `
    const seen = runWatched(program, dir) as { readonly code?: string }
    // It may have heard of the death before the commit.
    const heard =
      seen.code === undefined ? { afterwards: 2 } : { code: 'SHARD_DOWN', afterwards: 1 }
    expect(seen).toMatchObject({ ...heard, lsn: 4, threads: 1 })
    expect(examined(dir)).toMatchObject({ state: 'sound', rows: 5_000 })
  })

  test('stores share a thread: after its death each rejects a commit in flight, and the next store has a new one', () => {
    const root = tempFolder()
    const program = `
      const root = process.argv[1]
      const openIn = (name) => lmdbProjections(openDatabase, nodeDisk(), () => undefined, { makeWriter }).open(root + '/' + name)
      const stores = ['a', 'b', 'c'].map(openIn)
      await Promise.all(stores.map((store) => commitTo(store)(1)))
      const shared = begunThreads.length
      const inFlight = stores.slice(0, 2).map((store) => commitTo(store)(2).then(() => 'written', (error) => error.code))
      await begunThreads[0].terminate()
      const outcomes = await Promise.all(inFlight)
      const next = openIn('d')
      await commitTo(next)(1)
      for (const store of stores) {
        await store.settled()
        await commitTo(store)(3).catch(() => commitTo(store)(3))
      }
      const lsns = [...stores, next].map((store) => store.position().lsn)
      for (const store of [...stores, next]) await store.close()
      console.log(JSON.stringify({ shared, lost: outcomes.includes('SHARD_DOWN'), lsns, threads: begunThreads.length }))
    `
    expect(runWatched(program, root)).toEqual({
      shared: 1,
      lost: true,
      lsns: [3, 3, 3, 1],
      threads: 2,
    })
    for (const name of ['a', 'b', 'c', 'd'])
      expect(examined(join(root, name))).toMatchObject({ state: 'sound', rows: 5_000 })
  })

  test('a thread ends with its last store, and the next store has a new one', () => {
    const root = tempFolder()
    const program = `
      const openIn = (name) => lmdbProjections(openDatabase, nodeDisk(), () => undefined, { makeWriter }).open(process.argv[1] + '/' + name)
      const [first, second] = ['a', 'b'].map(openIn)
      await commitTo(first)(1)
      await commitTo(second)(1)
      await first.close()
      await commitTo(second)(2)
      const whileOne = begunThreads.length
      const ended = new Promise((resolve) => begunThreads[0].once('exit', () => resolve('ended')))
      await second.close()
      const third = openIn('a')
      await commitTo(third)(2)
      await third.close()
      console.log(JSON.stringify({ whileOne, first: await ended, threads: begunThreads.length }))
    `
    expect(runWatched(program, root)).toEqual({ whileOne: 1, first: 'ended', threads: 2 })
  })

  test('an instance that commits little starts no thread, and one that commits much starts one for all shards', () => {
    const program = `
      const { start } = await import('keelson')
      const app = await start({ dir: process.argv[1], shards: 4 })
      const put = (value) => Promise.all(Array.from({ length: 40 }, (_, at) => app.store.put('k' + at, value)))
      await put('little')
      await app.control.flushAll()
      const little = begunThreads.length
      await put('x'.repeat(4_000))
      await app.control.flushAll()
      await app.close()
      console.log(JSON.stringify({ little, much: begunThreads.length }))
    `
    expect(runWatched(program, tempFolder())).toEqual({ little: 0, much: 1 })
  })

  test.each(['refused', 'dying'])('a store whose thread is %s writes by itself', (trouble) => {
    const dir = join(tempFolder(), 'lmdb')
    const program = `
      const store = opening()
      const commit = commitTo(store)
      for (const lsn of [1, 2]) await commit(lsn)
      console.log(JSON.stringify({ lsn: store.position().lsn }))
      await store.close()
    `
    expect(runWatched(program, dir, trouble)).toEqual({ lsn: 2 })
    expect(examined(dir)).toMatchObject({ state: 'sound', rows: 5_000 })
  })

  test('a store in a user’s thread writes by itself, and that thread can be terminated', () => {
    const dir = join(tempFolder(), 'lmdb')
    const program = `
      const source = ${JSON.stringify(preamble)}.replaceAll('process.argv[1]', JSON.stringify(process.argv[1])) + \`
        import { parentPort } from 'node:worker_threads'
        const store = opening()
        await commitTo(store)(1)
        parentPort.postMessage({ lsn: store.position().lsn, hasWriter: makeWriter !== undefined })
        parentPort.on('message', () => undefined)
      \`
      const thread = new Worker(new URL('data:text/javascript,' + encodeURIComponent(source)))
      thread.on('message', async (seen) => {
        console.log(JSON.stringify({ ...seen, ended: await thread.terminate() }))
      })
    `
    expect(runWatched(program, dir)).toEqual({ lsn: 1, hasWriter: false, ended: 1 })
    expect(examined(dir)).toMatchObject({ state: 'sound', rows: 5_000 })
  })

  test('an instance whose projection threads die goes on, and loses and repeats nothing', () => {
    const dir = tempFolder()
    const program = `
      const { start } = await import('keelson')
      const logger = { error() {}, warn() {}, info() {} }
      const { createSystem } = await import('keelson')
      const app = await start({ dir: process.argv[1], shards: 3, system: createSystem({ logger }) })
      const letters = (from) => Promise.all(Array.from({ length: 300 }, (_, at) => app.store.append('k' + (at % 30), 'abc'[from].repeat(2_000))))
      await letters(0)
      await app.control.flushAll()
      await Promise.all(begunThreads.map((thread) => thread.terminate()))
      await letters(1)
      await app.control.flushAll()
      await letters(2)
      const { outcomes } = await app.control.flushAll()
      const values = new Set(app.store.range({ limit: 100 }).entries.map(([, value]) => value))
      console.log(JSON.stringify({ threads: begunThreads.length, outcomes, values: [...values].map((value) => value.replaceAll(/(.)\\1{1999}/g, '$1')) }))
      await app.close()
    `
    expect(runWatched(program, dir)).toEqual({
      threads: 1,
      outcomes: [0, 1, 2].map((shard) => ({ shard, ok: true })),
      values: ['a'.repeat(10) + 'b'.repeat(10) + 'c'.repeat(10)],
    })
    for (const shard of [0, 1, 2])
      expect(examined(join(dir, `shard-${shard}`, 'lmdb'))).toMatchObject({ state: 'sound' })
  })
})
