/** The end of a thread that several logs share, in an instance. The built package. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { tempFolder } from '../../support/temp-folder.ts'

const watching = pathToFileURL(
  join(import.meta.dirname, '../../support/programs/watched-threads.mjs'),
).href

const built = pathToFileURL(join(import.meta.dirname, '../../../dist/storage/index.js')).href

/** Runs a program that knows its threads, and answers what it says. */
const runWatched = (program: string, args: readonly string[]): unknown => {
  const { status, stderr, stdout } = spawnSync(
    process.execPath,
    [`--import=${watching}`, '--input-type=module', '-e', program, ...args],
    { encoding: 'utf8', timeout: 50_000, killSignal: 'SIGKILL' },
  )
  expect(status, stderr).toBe(0)
  return JSON.parse(stdout)
}

/** Twenty shards. Each acknowledged letter of 60 keys is counted, and each refusal is noted. */
const preamble = `
  import { availableParallelism } from 'node:os'
  import { createSystem, start } from 'keelson'
  const logger = { error() {}, warn() {}, info() {} }
  const open = () => start({ dir: process.argv[1], shards: 20, system: createSystem({ logger }) })
  const acknowledged = new Map()
  let codes = new Set()
  const write = (app) => async (_, at) => {
    const key = 'k' + at
    try {
      await app.store.append(key, 'x')
      acknowledged.set(key, (acknowledged.get(key) ?? 0) + 1)
    } catch (error) {
      codes.add(error.code)
    }
  }
  const round = (app) => Promise.all(Array.from({ length: 60 }, write(app)))
  const lostIn = (app) =>
    [...acknowledged].filter(([key, letters]) => app.store.get(key).length < letters)
`

test('an instance shares few threads among its logs, and a thread that dies costs no acknowledgement', () => {
  const program = `${preamble}
    const app = await open()
    await round(app)
    const most = Math.min(Math.max(1, availableParallelism() >> 1), 8)
    const begun = [begunLogThreads.length - most]
    const refused = new Set()
    for (let death = 0; death < 3; death++) {
      const writing = [round(app), round(app)]
      await begunLogThreads.at(-1).terminate()
      await Promise.all(writing)
      for (const code of codes) refused.add(code)
      // A write is repeated until the shards of that thread are up again.
      do {
        codes = new Set()
        await round(app)
      } while (codes.size > 0)
    }
    begun.push(begunLogThreads.length - most)
    const lost = lostIn(app)
    await app.close()
    const again = await open()
    lost.push(...lostIn(again))
    await again.close()
    console.log(JSON.stringify({ begun, lost, refused: [...refused] }))
  `
  const seen = runWatched(program, [tempFolder()]) as { readonly refused: readonly string[] }
  expect(seen).toMatchObject({ begun: [0, 3], lost: [] })
  for (const code of seen.refused)
    expect(['NOT_SUBMITTED', 'UNKNOWN_OUTCOME', 'SHARD_DOWN', 'SUSPENDED']).toContain(code)
})

/** Makes hosts on one thread, which ends in the way `how` when it is told to `die`. */
const dying = (how: string): string => `
  import { createRequire, syncBuiltinESMExports } from 'node:module'
  const threads = createRequire(import.meta.url)('node:worker_threads')
  const begun = []
  const Thread = threads.Worker
  threads.Worker = class extends Thread {
    constructor(url, options) {
      const code = \`
        const { parentPort } = require('node:worker_threads')
        const on = parentPort.on.bind(parentPort)
        parentPort.on = (event, listener) => on(event, (message) => {
          if (message === 'die') ${how}
          listener(message)
        })
        import('\${url}')
      \`
      super(code, { ...options, eval: true })
      begun.push(this)
    }
  }
  syncBuiltinESMExports()
  const { threadLogHosts } = await import(${JSON.stringify(built)})
  const makeHost = threadLogHosts(1)
  const options = { maxFileSize: 65536, sectorBytes: 4096 }
  const make = (host, name) => host.run('create', { dir: process.argv[1] + '/' + name, options })
`

test.each([
  { how: 'process.exit(0)', name: 'ends' },
  { how: 'throw new Error()', name: 'fails' },
])(
  'a thread that $name while a question waits answers it, also in a process without other work, and the next log has a new one',
  ({ how }) => {
    const program = `${dying(how)}
      const host = makeHost()
      begun[0].postMessage('die')
      const code = await make(host, 'first').then(() => 'made', (error) => error.code)
      const next = makeHost()
      const answer = await make(next, 'next')
      await next.end()
      console.log(JSON.stringify({ code, answer, begun: begun.length }))
    `
    expect(runWatched(program, [tempFolder()])).toEqual({
      code: 'SHARD_DOWN',
      answer: null,
      begun: 2,
    })
  },
)

test('the ends of logs that share a thread keep a process without other work until they are answered', () => {
  const program = `
    const { threadLogHosts } = await import(${JSON.stringify(built)})
    const options = { maxFileSize: 65536, sectorBytes: 4096 }
    for (let round = 0; round < 30; round++) {
      const makeHost = threadLogHosts(1)
      const hosts = Array.from({ length: 2 + (round % 3) }, () => makeHost())
      await Promise.all(hosts.map((host, at) => host.run('create', { dir: process.argv[1] + '/' + round + '-' + at, options })))
      await Promise.all(hosts.map((host) => host.end()))
    }
    console.log(JSON.stringify('done'))
  `
  expect(runWatched(program, [tempFolder()])).toBe('done')
})
