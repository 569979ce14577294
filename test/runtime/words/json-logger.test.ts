/** Lines of JSON in pino's shape: what a line has, and what becomes of it when its stream is slow or has failed. */
import { PassThrough, Writable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { KeelsonError } from '../../../src/errors.ts'
import {
  cast,
  createSystem,
  type DurableServer,
  entity,
  jsonLogger,
  supervisor,
} from '../../../src/index.ts'
import { streamText } from '../../support/stream-text.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'

/** A stream that keeps what it is given, and the lines of it. */
const kept = () => {
  const stream = new PassThrough()
  const lines = (): Record<string, unknown>[] =>
    streamText(stream)
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line))
  return { stream, lines }
}

const clock = { now: () => 1_000 }

describe('a line', () => {
  test('has level, time and text, and the facts with the other values as text', () => {
    const { stream, lines } = kept()
    const around: Record<string, unknown> = {}
    around.itself = around
    const logger = jsonLogger({ stream, clock })
    logger.info('one')
    logger.warn('odd', { big: 1n, around, missing: undefined, name: 'ada', tries: 2, level: 'x' })
    expect(lines()).toEqual([
      { level: 30, time: 1_000, msg: 'one' },
      {
        level: 40,
        time: 1_000,
        msg: 'odd',
        big: '1n',
        around: '{itself: …}',
        name: 'ada',
        tries: 2,
      },
    ])
  })

  test.each(['alone', 'of a System'])(
    'has the first 999 of many facts, and reads no others: %s',
    { tags: ['slow'] },
    (how) => {
      const { stream, lines } = kept()
      let read = 0
      const facts = {}
      for (let at = 0; at < 100_000; at++)
        Object.defineProperty(facts, `fact${at}`, { get: () => ++read, enumerable: true })
      const own = jsonLogger({ stream, clock })
      const logger = how === 'alone' ? own : createSystem({ logger: own }).logger
      logger.info('much', facts)
      const [line = {}] = lines()
      expect(read).toBe(999)
      expect(Object.keys(line)).toHaveLength(1_003)
      expect(line).toMatchObject({ fact998: 999, '…': '99001 more' })
    },
  )

  test('has an Error as err', () => {
    const { stream, lines } = kept()
    jsonLogger({ stream, clock }).error('full', { reason: new KeelsonError('BUSY', 'no room') })
    expect(lines()).toEqual([
      {
        ...{ level: 50, time: 1_000, msg: 'full' },
        err: {
          ...{ type: 'KeelsonError', code: 'BUSY', message: 'no room' },
          stack: expect.stringContaining('no room'),
        },
      },
    ])
  })

  test('of a crash names instance, process and entity, and hides secrets', async () => {
    const { stream, lines } = kept()
    const world = machine()
    const server: DurableServer<{ casts: { fail: (order: object) => void } }, object> = {
      init: () => ({ apiKey: 'canary-1' }),
      casts: {
        fail: () => {
          throw new Error('a bug')
        },
      },
    }
    const app = await world.start({
      app: supervisor('app', {}, [entity('order', server)]),
      system: createSystem({ clock: world.clock, logger: jsonLogger({ stream, clock }) }),
    })
    cast(app.entity<{ casts: { fail: (order: object) => void } }>('order').ref('1'), 'fail', {
      password: 'canary-2',
    })
    await world.clock.advance(10)
    await world.during(app.close())

    const crash = lines().find(({ entity }) => entity === 'order/1')
    expect(crash).toMatchObject({
      ...{ level: 50, msg: 'order/1 ended: Error: a bug', instance: 'default' },
      ...{ process: expect.any(Number), err: { type: 'Error', message: 'a bug' } },
      report: { 'last message': expect.stringContaining('cast fail') },
    })
    expect(JSON.stringify(crash)).not.toContain('canary')
  })
})

test('a message that is no text is shown as text', () => {
  const { stream, lines } = kept()
  jsonLogger({ stream, clock }).info(10n as never)
  expect(lines()).toEqual([{ level: 30, time: 1_000, msg: '10n' }])
})

test('a secret that a getter of the facts gives is hidden', () => {
  const { stream, lines } = kept()
  const facts = {
    get user() {
      return { password: 'hunter2' }
    },
  }
  createSystem({ logger: jsonLogger({ stream, clock }) }).logger.warn('login', facts)
  expect(lines()[0]?.user).toBe('{password: "[hidden string of 7]"}')
})

describe('a stream', () => {
  test('that is slow loses lines, which are counted once it takes lines again', async () => {
    const taken: string[] = []
    let goOn = (): void => undefined
    const stream = new Writable({
      write: (chunk, _encoding, done) => {
        taken.push(JSON.parse(chunk).msg)
        goOn = done
      },
    })
    const logger = jsonLogger({ stream, clock, bufferBytes: 100 })
    for (let at = 0; at < 50; at++) logger.info(`line ${at}`)
    for (let each = 0; each < 3; each++) {
      goOn()
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(taken).toEqual([
      ...['line 0', 'line 1', 'line 2'],
      '47 lines of the log were dropped: the stream was slow',
    ])
  })

  test('that fails or is closed gets no line, and ends nothing', async () => {
    const stream = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) })
    const logger = jsonLogger({ stream, clock })
    logger.info('one')
    await new Promise((resolve) => setImmediate(resolve))
    expect(stream.destroyed).toBe(true)
    expect(() => logger.info('two')).not.toThrow()
  })

  test('that throws gets no more lines, and the writer of the line goes on', () => {
    let writes = 0
    const stream = new Writable({
      write: () => {
        writes++
        throw new Error('no disk')
      },
    })
    const logger = jsonLogger({ stream, clock })
    logger.info('one')
    logger.info('two')
    expect([writes, stream.destroyed]).toEqual([1, true])
  })
})

test('wrong options are refused', () => {
  expect(() => jsonLogger({ bufferBytes: 0 })).toThrow(/bufferBytes/)
  expect(() => jsonLogger({ stream: 'stdout' as never })).toThrow(/stream/)
  expect(() => jsonLogger({ stream: null as never })).toThrow(/stream/)
  expect(() => jsonLogger({ stream: { write: () => true } as never })).toThrow(/stream/)
})
