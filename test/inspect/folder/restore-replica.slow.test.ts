/** `keelson restore --from` a PostgreSQL server, as users run it (needs the build, and a server). */
import { join } from 'node:path'
import { type App, type StartOptions, start } from 'keelson'
import { postgres } from 'keelson/postgres'
import { describe, expect, onTestFinished, test } from 'vitest'
import { commandHere } from '../../support/commands/command-here.ts'
import { runKeelson } from '../../support/commands/keelson-command.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { noPostgres, PostgresServer } from '../../support/worlds/postgres-server.ts'

const keys = Array.from({ length: 20 }, (_, at) => `k${at}`)

const idsOf = async (app: App): Promise<string[]> => {
  const found: string[] = []
  for await (const { id } of app.journal.entries()) found.push(id)
  return found
}

/** A server, and a folder `d` with commitments that is replicated there. Answers the place of an entry. */
const replicated = async (dir: string) => {
  const server = new PostgresServer(join(dir, 'server'))
  await server.start()
  onTestFinished(() => server.stop())
  const client = postgres({ connectionString: server.url })
  const options = { shards: 2, wal: { commitments: true }, replication: [{ client }] }
  const app = await start({ ...options, dir: join(dir, 'd') })
  const { lsn } = await app.journal.append({ id: 'first', type: 'order', command: { qty: 1 } })
  await Promise.all(keys.map((key, at) => app.store.put(key, { at }, { ack: 'replicated' })))
  await app.close()
  return { url: server.url, lsn, options }
}

describe.skipIf(lacks(noPostgres()))('keelson restore --from a server', () => {
  test('makes a sound folder that opens and goes on, with a new chain of commitments', async () => {
    const dir = tempFolder()
    const { url, lsn, options } = await replicated(dir)
    const keelson = (...words: string[]) => commandHere(words, dir)
    const proveIn = (folder: string, at: number) =>
      keelson('journal', 'prove', folder, '--lsn', String(at), '--out', `${folder}.proof`)
    expect(await proveIn('d', lsn)).toMatchObject({ status: 0 })
    await keelson('journal', 'head', 'd', '--out', 'head')

    const restored = await runKeelson(['restore', '--from', url, '--to', 'r'], dir)
    expect(restored).toMatchObject({ status: 0, errors: '' })
    expect(restored.output).toContain('restored to')
    const examined = await keelson('doctor', 'r', '--deep', '--json')
    expect(examined.status).toBe(0)
    const { findings } = JSON.parse(examined.output)
    expect(findings.map(({ code }: { code: string }) => code)).toEqual(
      Array(2).fill('projection.missing'),
    )
    expect((await proveIn('r', lsn)).errors).toContain('has no commitments')

    const app = await open(join(dir, 'r'), { ...options, acts: true })
    expect(await idsOf(app)).toEqual(['first'])
    expect(app.store.get('k19')).toEqual({ at: 19 })
    const later = await app.journal.append({ id: 'second', type: 'order', command: { qty: 2 } })
    await Promise.all(keys.map((key) => app.store.put(key, 'later', { ack: 'replicated' })))
    await app.close()
    expect((await keelson('doctor', 'r')).output).toContain('sound')
    // What the origin has proven stays proven. This chain begins behind it, and does not continue it.
    const verified = await keelson('journal', 'verify', 'd.proof', '--head', 'head')
    expect(verified).toMatchObject({ status: 0 })
    expect((await proveIn('r', lsn)).errors).toContain('INVALID_ARGUMENT')
    expect(await proveIn('r', later.lsn)).toMatchObject({ status: 0 })
    const since = await keelson('journal', 'head', 'r', '--since', 'head', '--out', 'c')
    expect(since.status).not.toBe(0)

    const back = await keelson('restore', '--from', url, '--to', 'r2', '--json')
    expect(JSON.parse(back.output).shards).toHaveLength(2)
    const again = await open(join(dir, 'r2'), { shards: 2, app: false })
    expect(await idsOf(again)).toEqual(['first', 'second'])
    expect(again.store.get('k19')).toBe('later')
  })
})

const open = async (dir: string, options: Omit<StartOptions, 'dir'>): Promise<App> => {
  const app = await start({ ...options, dir })
  onTestFinished(async () => void (await app.close()))
  return app
}
