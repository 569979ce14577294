/** What `start` says of wrong options, and which log it writes. */
import { describe, expect, test } from 'vitest'
import {
  createSystem,
  defineConfig,
  type GenServer,
  name,
  supervisor,
  worker,
} from '../../../src/index.ts'
import { checkStartOptions, type StartOptions } from '../../../src/supervisors/index.ts'
import { capturedLog } from '../../../src/testing/index.ts'
import { SimulatedMachine } from '../../../src/testing/simulated/simulated-machine.ts'

const refusal = (options: object) => {
  try {
    checkStartOptions({ dir: '/data', ...options } as StartOptions)
    return undefined
  } catch (error) {
    return error as { code: string; message: string; details: { path: string } }
  }
}

test.each([
  [undefined, undefined],
  [0, { bytes: 0 }],
  [5_000, { bytes: 5_000 }],
  ['45s', { ms: 45_000 }],
  ['30m', { ms: 1_800_000 }],
  ['12h', { ms: 43_200_000 }],
  ['7d', { ms: 604_800_000 }],
])('retention.log %j keeps %j', (log, kept) => {
  const retention = log === undefined ? {} : { log }
  expect(checkStartOptions({ dir: '/data', retention }).settings.retention.log).toEqual(kept)
})

describe('a wrong option', () => {
  test.each([
    [{ shard: 2 }, 'unknown option `shard`; did you mean `shards`?'],
    [{ Logger: console }, 'unknown option `Logger`; did you mean `logger`?'],
    [
      { wal: { maxFilesize: 1 } },
      'unknown option `wal.maxFilesize`; did you mean `wal.maxFileSize`?',
    ],
    [
      { retention: { log: '7 days' } },
      "retention.log: expected bytes, or a time such as '7d', '12h', '30m', '45s', found \"7 days\"",
    ],
    [
      { wal: { commitments: { key: 'a secret' } } },
      'wal.commitments.key: expected an Ed25519 private key in PEM, found "another text"',
    ],
    [
      { wal: { commitments: { key: 5 } } },
      'wal.commitments: expected true, false or { key }, found an object',
    ],
    [{ snapshot: { keep: 9 } }, 'snapshot.keep: expected a whole number from 1 to 8, found 9'],
    [{ shards: '5' }, 'shards: expected a whole number from 1 to 1024, found "5"'],
    [{ shards: Number.NaN }, 'shards: expected a whole number from 1 to 1024, found NaN'],
    [
      { logger: { error: () => undefined } },
      'logger: expected an object with the functions error, warn and info, found an object',
    ],
    [
      { logger: console, system: createSystem() },
      'logger: expected absent: the System has its own, found an object',
    ],
    [
      { app: { ...supervisor('app', {}, []), options: { strategi: 'one_for_one' } } },
      'unknown option `app.options.strategi`; did you mean `app.options.strategy`?',
    ],
  ])('%j is refused as: %s', (options, message) => {
    expect(refusal(options)).toMatchObject({ code: 'CONFIG', message })
  })

  test('that is like no other is refused with all there are', () => {
    expect(refusal({ admission: { colour: 1 } })?.message).toBe(
      'unknown option `admission.colour`; expected one of bytes, commands',
    )
  })
})

test('crashes of an instance are told to its logger', async () => {
  const crashing: GenServer<{ casts: { crash: () => void } }, null> = {
    init: () => null,
    casts: {
      crash: () => {
        throw new Error('a bug')
      },
    },
  }
  const log = capturedLog()
  const simulated = new SimulatedMachine()
  const app = await simulated.start({
    dir: '/data',
    logger: log,
    wal: { maxFileSize: 256 * 1024 },
    app: supervisor('app', {}, [worker('clerk', crashing)]),
  })

  app.system.exit(name('clerk'), new Error('a bug'))
  await simulated.clock.advance(10)

  expect(app.system.info(name('clerk'))).toBeDefined()
  expect(log.lines.length).toBeGreaterThan(0)
  expect(JSON.stringify(log.lines)).toContain('clerk')
  await simulated.during(app.close())
})

test.each([
  [undefined, 'options'],
  [null, 'options'],
  [5, 'options'],
  [[], 'options'],
  [{ member: {} }, 'member'],
])('defineConfig refuses %j at %s', (configuration, path) => {
  expect(() => defineConfig(configuration as never)).toThrow(
    expect.objectContaining({ code: 'CONFIG', details: expect.objectContaining({ path }) }),
  )
})
