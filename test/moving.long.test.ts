/**
 * The pages of `docs/moving` have a program for another library and the same one for Keelson. Both are run,
 * and print what they say. The other libraries are those of the benches: `npm ci` in bench/peers installs them.
 */
import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { examplesOf, expectSaid, folderInside } from './support/doc-examples.ts'
import { lacks } from './support/lacks.ts'
import { tempFolder } from './support/temp-folder.ts'

type Server = { readonly socket: string; readonly bin: string; stop(): Promise<unknown> }
type StartServer = (folder: string) => Promise<Server | { readonly absent: string }>

/** A module of the benches, which have no types. */
const bench = (name: string): Promise<Record<string, StartServer | undefined>> =>
  import(join(import.meta.dirname, '../bench', name))
const { startRedis } = await bench('flow/redis-server.mjs')
const { startPostgres } = await bench('writes/postgres-server.mjs')

const installed = resolve('bench/peers/node_modules')

/** Why a library cannot be run here; `undefined` if it can. */
const reasonAgainst = async (library: string): Promise<string | undefined> => {
  if (!existsSync(join(installed, library))) return `no ${library}: npm ci in bench/peers`
  if (library !== 'better-sqlite3') return undefined
  const program = `new (require('${join(installed, library)}'))(':memory:')`
  return promisify(execFile)(process.execPath, ['-e', program]).then(
    () => undefined,
    () => 'better-sqlite3 is not built: npm rebuild --ignore-scripts=false in bench/peers',
  )
}

const run = async (file: string, cwd: string, env: Record<string, string>): Promise<string> => {
  const { stdout } = await promisify(execFile)(process.execPath, [file], {
    cwd,
    env: { ...process.env, ...env },
  })
  return stdout
}

/** Runs a program that imports what is installed for the benches. */
const runPeer = (code: string, env: Record<string, string>): Promise<string> => {
  const here = mkdtempSync(join(installed, '.moving-'))
  onTestFinished(() => rmSync(here, { recursive: true }))
  const file = join(here, 'program.mjs')
  writeFileSync(file, code)
  return run(file, tempFolder(), env)
}

const pages = [
  ['bullmq', 'bullmq', startRedis],
  ['dbos', '@dbos-inc/dbos-sdk', startPostgres],
  ['xstate', 'better-sqlite3', undefined],
  ['event-store', 'better-sqlite3', undefined],
  ['sqlite', 'better-sqlite3', undefined],
] as const

for (const [page, library, startServer] of pages) {
  const [theirs = '', ours = ''] = examplesOf(`docs/moving/${page}.md`, 'mjs')
  const folder = mkdtempSync(join(tmpdir(), 'keelson-moving-'))
  // PostgreSQL runs as another user if we are root.
  chmodSync(folder, 0o755)
  const reason = await reasonAgainst(library)
  const server = reason === undefined ? await startServer?.(join(folder, 'server')) : undefined
  const absent = reason ?? (server && 'absent' in server ? server.absent : undefined)

  describe(`docs/moving/${page}.md`, () => {
    const env: Record<string, string> = {}
    beforeAll(async () => {
      if (!server || 'absent' in server) return
      env.REDIS_SOCKET = server.socket
      if (startServer !== startPostgres) return
      await promisify(execFile)(join(server.bin, 'createdb'), [
        ...['-h', server.socket, '-U', 'bench', 'shop'],
      ])
      const host = encodeURIComponent(server.socket)
      env.DATABASE_URL = `postgresql://bench@localhost/shop?host=${host}`
    })
    afterAll(async () => {
      if (server && !('absent' in server)) await server.stop()
      rmSync(folder, { recursive: true })
    })

    test('has a program for Keelson that prints what it says', async () => {
      const dir = folderInside()
      writeFileSync(join(dir, 'program.mjs'), ours)
      const printed = ours.match(/console\.log\(.*\/\/ /g)
      expect(printed?.length).toBeGreaterThan(1)
      expectSaid(ours, await run('program.mjs', dir, {}))
    })

    test.skipIf(lacks(absent))('has the same one for the other library', async () => {
      const wanted = (code: string) => [...code.matchAll(/console\.log\(.*\/\/ (.*)$/gm)]
      expect(wanted(theirs).map(([, said]) => said)).toEqual(wanted(ours).map(([, said]) => said))
      expectSaid(theirs, await runPeer(theirs, env))
    })
  })
}

describe.each(['inngest', 'akka'])('docs/moving/%s.md', (page) => {
  test('has a program for Keelson that prints what it says', async () => {
    const [ours = ''] = examplesOf(`docs/moving/${page}.md`, 'mjs')
    const dir = folderInside()
    writeFileSync(join(dir, 'program.mjs'), ours)
    expect(ours.match(/console\.log\(.*\/\/ /g)?.length).toBeGreaterThan(1)
    expectSaid(ours, await run('program.mjs', dir, {}))
  })
})

test.skipIf(lacks(await reasonAgainst('xstate')))(
  'a delayed transition of a restored snapshot does not fire in XState, as docs/moving/xstate.md says',
  async () => {
    const program = `
      import { createActor, createMachine, SimulatedClock } from 'xstate'
      const states = { placed: { after: { 300: 'cancelled' } }, cancelled: {} }
      const machine = createMachine({ initial: 'placed', states })
      const clock = new SimulatedClock()
      const first = createActor(machine, { clock }).start()
      clock.increment(200)
      const snapshot = JSON.parse(JSON.stringify(first.getPersistedSnapshot()))
      first.stop()
      const second = createActor(machine, { snapshot, clock }).start()
      clock.increment(1_000)
      console.log(second.getSnapshot().value)`
    expect(await runPeer(program, {})).toBe('placed\n')
  },
)
