/** The text of the log: time, level, and the part of a stack that says something to its reader. */
import { beforeEach, describe, expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import {
  cast,
  createSystem,
  type Log,
  type Logger,
  name,
  objectFirst,
  startSupervisor,
  supervisor,
  textLogger,
  worker,
} from '../../../src/runtime/index.ts'
import { testSystem, virtualClock } from '../../../src/testing/index.ts'

const written: string[] = []
beforeEach(() => {
  written.length = 0
})
const logger = textLogger({ now: () => Date.UTC(2026, 10, 21, 5, 30) }, (text, level) =>
  written.push(`${level}|${text}`),
)

/** What the logger writes for an error that ended a process. */
const textOf = (reason: Error): string => {
  logger.error(`counter ended: ${reason.name}: ${reason.message}`, { reason })
  return written.at(-1) ?? ''
}

const withFrames = <E extends Error>(error: E, ...frames: string[]): E => {
  error.stack = [`${error.name}: ${error.message}`, ...frames.map((at) => `    at ${at}`)].join(
    '\n',
  )
  return error
}
const root = new URL('../../../', import.meta.url)
const ours = [
  `run (${root}dist/runtime/server/server-loop.js:10:1)`,
  `Process.run (${root.pathname}src/runtime/process/process.ts:9:2)`,
  'process.processTicksAndRejections (node:internal/process/task_queues:105:5)',
]
const theirs = ['add (/srv/shop/counter.js:4:11)', 'file:///srv/shop/dist/main.js:7:1']

describe('a line of the log', () => {
  test('begins with its time and level', () => {
    logger.error('one', { pid: 3 })
    logger.warn('two')
    logger.info('three')

    expect(written).toEqual([
      'error|2026-11-21T05:30:00.000Z error one',
      'warn|2026-11-21T05:30:00.000Z warn  two',
      'info|2026-11-21T05:30:00.000Z info  three',
    ])
  })
})

describe('the stack of an error in the log', () => {
  test('has its first line once, and the frames of the user without those of Keelson', () => {
    const [first = '', second = ''] = theirs
    const error = withFrames(new Error('boom\nand more'), first, ...ours, second)

    expect(textOf(error).split('\n')).toEqual([
      'error|2026-11-21T05:30:00.000Z error counter ended: Error: boom',
      'and more',
      `    at ${first}`,
      `    at ${second}`,
    ])
  })

  test('keeps details and causes', () => {
    const cause = withFrames(new Error('refused'), ...theirs, ...ours)
    const error = Object.assign(withFrames(new Error('boom', { cause }), ...ours), { port: 5432 })

    const lines = textOf(error).split('\n')

    expect(lines.join('\n')).not.toContain('keelson/')
    expect(lines[0]).toMatch(/ counter ended: Error: boom \{$/)
    expect(lines.slice(1).map((line) => line.trim())).toEqual([
      'port: 5432,',
      '[cause]: Error: refused',
      ...theirs.map((at) => `at ${at}`),
      '}',
    ])
  })

  test('of a fault inside Keelson is whole, and of a KeelsonError only its details', () => {
    expect(textOf(withFrames(new TypeError('x is not a function'), ...ours))).toContain(ours[0])

    const error = withFrames(
      new KeelsonError('BUSY', 'no room', { details: { bytes: 7 } }),
      ...ours,
    )
    expect(textOf(error)).not.toContain('    at ')
    expect(textOf(error)).toContain('details: { bytes: 7 }')

    logger.error('shard 0 is down: BUSY: no room', { reason: error })
    expect(written.at(-1)?.match(/no room/g)).toHaveLength(1)
  })

  test('says nothing of frames that an error has in common with its cause', () => {
    const frames = ['read (/srv/shop/order.js:4:11)', ...ours, ...ours]
    const cause = withFrames(new TypeError('no customer'), ...frames)
    const error = new KeelsonError('BLOCKED', 'order/7 is blocked', { cause })
    expect(textOf(withFrames(error, ...ours, ...ours))).toMatch(
      /is blocked \{\n {2}code[\s\S]*order\.js:4:11\)\n\}$/,
    )
  })
})

describe('a crash', () => {
  const server = {
    init: () => 7,
    casts: {
      die: () => {
        throw new KeelsonError('BUSY', 'no room')
      },
    },
  }

  /** The lines of a crash, a restart, and a crash at which the supervisor gives up. */
  const crashedWith = async (own: unknown): Promise<void> => {
    const clock = virtualClock(1)
    const system = createSystem({ clock, logger: own as Logger })
    const counter = name<{ casts: { die: () => void } }>('counter')
    const child = worker('counter', server, undefined, { name: counter })
    await startSupervisor(
      system,
      supervisor('app', { strategy: 'one_for_one', intensity: 1 }, [child]),
    )
    for (const _ of [1, 2]) {
      cast(system.to(counter), 'die')
      await clock.settle()
    }
  }

  test('is logged with its stack once, and not again by its supervisor', {
    tags: ['O10'],
  }, async () => {
    await crashedWith(logger)

    const stacks = written.map((text) => text.match(/details: \{\}|^ {4}at /gm)?.length ?? 0)
    expect(stacks.map((count) => count > 0)).toEqual([true, false, true, false])
  })

  test('is an error in JSON, also for a logger that copies the facts', async () => {
    const lines: unknown[] = []
    const log: Log = (message, facts) =>
      lines.push(JSON.parse(JSON.stringify({ message, ...facts })))
    await crashedWith({ error: log, warn: log, info: log })

    expect(lines[0]).toMatchObject({
      message: 'counter ended: KeelsonError: no room',
      error: { name: 'KeelsonError', code: 'BUSY', message: 'no room', stack: expect.any(String) },
      report: { state: '7' },
    })
    expect(lines[1]).toMatchObject({ reason: 'KeelsonError: no room' })
    expect(JSON.stringify(lines)).not.toContain('":{}')
  })

  /** What a logger with the signature of pino got. */
  const objectFirstLines = () => {
    const lines: unknown[][] = []
    const log = (...line: unknown[]): void => void lines.push(line)
    return { lines, own: { error: log, warn: log, info: log } }
  }

  test.each(['of pino', 'in objectFirst'])(
    'is given to a logger %s with the facts first, and the error itself as `err`',
    async (which) => {
      const { lines, own } = objectFirstLines()
      // A child of pino has the property by its prototype.
      const child = Object.assign(Object.create({ [Symbol.for('pino.serializers')]: {} }), own)

      await crashedWith(which === 'of pino' ? child : objectFirst(own))

      const [facts, message] = lines[0] ?? []
      expect(message).toBe('counter ended: KeelsonError: no room')
      expect(facts).toEqual({
        err: expect.any(KeelsonError),
        process: expect.any(Number),
        report: expect.anything(),
      })
      expect(lines[1]).toEqual([
        expect.objectContaining({ id: 'counter', reason: 'KeelsonError: no room' }),
        'app: counter was restarted',
      ])
    },
  )
})

test('a restart is told, also of a child that was killed', async () => {
  const { system, log, settle } = testSystem()
  const server = { init: () => 0, calls: {}, casts: {} }
  const counter = name<{ calls: object; casts: object }>('counter')
  const child = worker('counter', server, undefined, { name: counter })
  await startSupervisor(system, supervisor('app', { strategy: 'one_for_one' }, [child]))

  system.kill(counter)
  await settle()

  expect(log.messages('warn')).toEqual(['app: counter was restarted: killed'])
  expect(log.messages('error')).toEqual([])
})
