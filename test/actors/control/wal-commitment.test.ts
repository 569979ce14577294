/** The head of a shard's commitments, as an instance gives it. */
import { expect, test } from 'vitest'
import { verifyLog } from '../../support/verify-log.ts'
import { codeOf, failNextSync, machine, started } from '../../support/worlds/simulated-instance.ts'

const wal = { commitments: true }

test('is durable when it is given, and every later one continues it after a power cut', {
  tags: ['slow'],
}, async () => {
  const { start, during, disk } = machine({ seed: 5 })
  let least = 0
  for (let life = 0; life < 4; life++) {
    const app = await start({ wal: { ...wal, syncInterval: 1_000 } })
    for (let at = 0; at < 20; at++) await during(app.store.put(`k${at}`, `${life}`))
    const head = await during(app.wal(0).commitment())
    disk.crash()
    const { verdict, commitments } = verifyLog(disk, '/data/shard-0/wal')

    expect(verdict).not.toBe('corrupt')
    expect(head?.size).toBeGreaterThan(least)
    expect(commitments?.size).toBeGreaterThanOrEqual(head?.size ?? 0)
    least = commitments?.size ?? 0
  }
})

test('is undefined without commitments', async () => {
  const { during, app } = await started()
  await during(app.store.put('k', 1))

  expect(await during(app.wal(0).commitment())).toBeUndefined()
})

test('is refused when the disk fails, and the shard goes down as after any failed sync', async () => {
  const { during, disk, app } = await started({ wal: { ...wal, syncInterval: 60_000 } })
  await during(app.store.put('k', 1))
  failNextSync(disk)

  expect(await codeOf(during(app.wal(0).commitment()))).toBe('SHARD_DOWN')
  expect(await codeOf(during(app.store.put('k', 2)))).toBe('SHARD_DOWN')
})
