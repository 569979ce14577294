/** What the log of a member says of an engine that is away, and of another owner. */
import { expect, test } from 'vitest'
import { capturedLog } from '../../../src/testing/index.ts'
import { leaseMs, Members } from '../../support/worlds/members.ts'

/** The log opens no sooner than that: it asks an engine for 3 s. */
const outageMs = 20_000

const started = async () => {
  const members = new Members()
  const log = capturedLog()
  const app = await members.start('a', { logger: log })
  await members.during(app.store.put('k', 'v'))
  const lines = () => log.lines.map(({ level, message }) => `${level} ${message}`)
  return { members, app, log, lines }
}

const unsure = 'warn the member a cannot renew its lease of c, and refuses reads: UNKNOWN_OUTCOME: '
const silent = `${unsure}the engine gave no answer`
const waits = 'warn shard 0 waits for its engine: the engine gave no answer within 3000 ms'

test('an outage of the engine is two lines of the log, and its end two more', async () => {
  const { members, app, log, lines } = await started()
  let [crashes, restarts] = [0, 0]
  app.events.on('process.crashed', () => crashes++)
  app.events.on('process.restarted', () => restarts++)

  members.engine.restart(outageMs)
  const written = app.store.put('k', 'w').catch(({ code }) => code)
  await members.clock.advance(outageMs - 1)

  expect(lines()).toEqual([silent, waits])
  // Everything else is as after any crash: it is announced, counted, and restarted.
  expect(crashes).toBeGreaterThanOrEqual(5)
  expect(restarts).toBe(5 * crashes)
  await members.clock.advance(2 * leaseMs)
  expect(lines().slice(2)).toEqual([
    'info the member a owns c again',
    expect.stringMatching(/^info shard 0 has its engine again, after 17\d{3} ms$/),
  ])
  for (const { facts = {} } of log.lines) expect(facts).not.toHaveProperty('report')
  expect(await written).toMatchObject({ position: { shard: 0 } })
  await members.during(app.store.put('k', 'after'))

  // A second one is told as the first.
  members.engine.restart(outageMs)
  await members.clock.advance(outageMs - 1)
  expect(lines().slice(4)).toEqual([silent, waits])
})

test('the line of a shard that waits says why the last request had no answer', async () => {
  const { members, lines } = await started()

  await members.sessions.get('a')?.close()
  await members.clock.advance(outageMs)

  expect(lines()).toEqual([`${unsure}no answer`, `${waits}: no answer`])
})

test('a member that is replaced says why it ends, without a report', async () => {
  const { members, app, log, lines } = await started()
  const standby = members.begin('b')
  await members.clock.advance(100)

  members.sessions.get('a')?.pause(3 * leaseMs)
  await members.during(standby)
  await members.during(app.closed)

  const lost = 'FENCED: the lease has ended: another member may own the instance'
  expect(lines()).toEqual([
    silent,
    waits,
    `warn the member ends: ${lost}`,
    `error shard 0 is down: ${lost}`,
  ])
  for (const { facts = {} } of log.lines) expect(facts).not.toHaveProperty('report')
})

test('an orderly end of a member has no line', async () => {
  const { members, app, lines } = await started()

  await members.during(app.close())

  expect(lines()).toEqual([])
})
