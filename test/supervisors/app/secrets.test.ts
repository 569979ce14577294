/** Secrets of the options: what an instance shows, logs or throws never has them. */
import { generateKeyPairSync } from 'node:crypto'
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { name, sys } from '../../../src/index.ts'
import {
  checkStartOptions,
  type StartOptions,
} from '../../../src/supervisors/starting/start-options.ts'
import { startSimulated } from '../../../src/testing/index.ts'

const { privateKey } = generateKeyPairSync('ed25519')
const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const secret = key.split('\n')[1] ?? ''
const wal = { commitments: { key } }

const everything = (value: unknown): string =>
  inspect(value, { depth: 8, maxStringLength: null, maxArrayLength: null, getters: true })

test('the private key is in no state, no health, no crash report and no event', {
  tags: ['slow'],
}, async () => {
  const simulation = await startSimulated({ wal })
  const { app, log } = simulation
  const shown: string[] = []
  app.system.events.on('process.crashed', (facts) => shown.push(everything(facts)))
  await simulation.during(app.store.put('a', 1))

  const names = app.system.processes().flatMap((process) => process.name ?? [])
  for (const each of names) {
    const state = sys.getState(app.system.to(name(each))).catch(() => 'has none')
    shown.push(everything(await simulation.during(state)))
  }
  shown.push(everything([app, app.health(), app.system.processes()]))
  app.system.kill(name('shard(0)'))
  await simulation.advance(1_000)
  for (const { message, facts } of log.lines)
    shown.push(`${message} ${facts?.report} ${JSON.stringify(facts?.report)} ${everything(facts)}`)
  await simulation.close()

  expect(shown.join('\n')).toContain('commitments')
  expect(log.messages('error').join()).toContain('wal_writer(0)')
  expect(shown.filter((text) => text.includes(secret))).toEqual([])
})

test.each([
  { wal: { commitments: key } },
  { wal: { commitments: { key: key.slice(0, -30) } } },
  { wal: { commitments: { key, cipher: 'none' } } },
  { wal: { commitments: { key: [key] } } },
])('a wrong option does not throw it: %#', (options) => {
  expect(thrown({ dir: '/data', ...options } as never)).not.toContain(secret)
})

test.each([
  'postgres://user:hunter2@host/db',
  ['postgres://user:hunter2@host/db'],
  [{ client: 'postgres://user:hunter2@host/db' }],
])('a replica in place of its client is refused without its password: %#', (replication) => {
  expect(thrown({ dir: '/data', replication } as never)).not.toContain('hunter2')
})

/** The whole of the CONFIG error of these options. */
const thrown = (options: StartOptions): string => {
  try {
    checkStartOptions(options)
  } catch (error) {
    expect(error).toMatchObject({ code: 'CONFIG' })
    return everything(error)
  }
  throw new Error('they were taken')
}
