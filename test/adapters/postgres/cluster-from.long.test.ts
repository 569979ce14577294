/** `keelson cluster create --from` by the built command: a folder on the disk becomes a cluster in a real PostgreSQL. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { call, type DurableServer, entity, reply, start, supervisor } from 'keelson'
import { postgresEngine } from 'keelson/postgres'
import { expect, onTestFinished, test } from 'vitest'
import { silentLogger } from '../../../src/testing/index.ts'
import { startKeelson } from '../../support/commands/keelson-command.ts'
import { lacks } from '../../support/lacks.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { noPostgres, PostgresServer } from '../../support/worlds/postgres-server.ts'

type Messages = { calls: { add: (by: number) => number } }
const server: DurableServer<Messages, { readonly count: number }> = {
  init: () => ({ count: 0 }),
  calls: { add: ({ count }, by) => reply(count + by, { count: count + by }) },
}
const counter = entity('counter', server)
const alone = (dir: string) => ({
  ...{ dir, attach: false, logger: silentLogger },
  app: supervisor('app', {}, [counter]),
})

test.skipIf(lacks(noPostgres()))(
  'a folder with large values and many turns is there at a new member, and calls are repeated',
  { timeout: 120_000 },
  async () => {
    const dir = tempFolder()
    const engines = new PostgresServer(join(dir, 'server'))
    await engines.start()
    onTestFinished(() => engines.stop())
    const one = await start({ ...alone(join(dir, 'data')), shards: 2 })
    for (let at = 0; at < 50; at++) {
      const rows = Array.from(
        { length: 20 },
        (_, row) => [`row:${at}:${row}`, 'x'.repeat(2_000)] as const,
      )
      await one.store.putMany(rows)
    }
    for (let at = 0; at < 8; at++) await one.store.put(`large:${at}`, Buffer.alloc(400_000, at))
    for (let at = 0; at < 100; at++)
      await call(one.entity(counter).ref(`${at % 10}`), 'add', 1, { id: `add-${at}` })
    await one.close()
    // The package finds itself from below its own folder.
    mkdirSync('.tmp', { recursive: true })
    const project = mkdtempSync(join('.tmp', 'cluster-from-'))
    onTestFinished(() => rmSync(project, { recursive: true }))
    writeFileSync(
      join(project, 'keelson.config.mjs'),
      `import { postgresEngine } from 'keelson/postgres'
      const engine = postgresEngine({ connectionString: '${engines.url}' })
      export default { dir: '${join(dir, 'unused')}', cluster: { name: 'c', member: 'x', engine } }`,
    )

    const moved = startKeelson(
      ['cluster', 'create', '--from', join(dir, 'data'), '--progress'],
      project,
      { HOME: dir },
    )

    const { status, output, errors } = await moved.ended
    expect(errors).toMatch(/^moving shard 1 +\d+%, /m)
    expect(output).toContain('made the cluster c with 2 shards')
    expect(status).toBe(0)
    const engine = postgresEngine({ connectionString: engines.url })
    const member = await start({
      ...alone(join(dir, 'cache')),
      cluster: { name: 'c', member: 'a', engine, leaseMs: 1_000 },
    })
    onTestFinished(() => member.close().then(() => undefined))
    let rows = 0
    for await (const [, value] of member.store.entries({ prefix: 'row:' }))
      if (value === 'x'.repeat(2_000)) rows++
    expect(rows).toBe(1_000)
    for (let at = 0; at < 8; at++)
      expect(member.store.get(`large:${at}`)).toEqual(Buffer.alloc(400_000, at))
    for (let at = 0; at < 10; at++) {
      const ref = member.entity(counter).ref(`${at}`)
      expect(await call(ref, 'add', 1, { id: `add-${90 + at}` })).toBe(10)
      expect(member.entity(counter).state(`${at}`)).toEqual({ count: 10 })
    }
    await expect(start(alone(join(dir, 'data')))).rejects.toMatchObject({ code: 'CONFIG' })
  },
)
