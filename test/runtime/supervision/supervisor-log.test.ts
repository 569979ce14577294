/** The lines of the log of a supervisor: who was restarted, ended or given up, with the facts of each. */
import { describe, expect, test } from 'vitest'
import {
  type ChildSpec,
  cast,
  foreseen,
  type GenServer,
  name,
  startDynamicChild,
  startDynamicSupervisor,
  startSupervisor,
  stop,
  stopProcess,
  supervisor,
  worker,
} from '../../../src/runtime/index.ts'
import type { Process } from '../../../src/runtime/process/process.ts'
import { addressOf } from '../../../src/runtime/words/address.ts'
import { testSystem } from '../../../src/testing/index.ts'

type Messages = { casts: { fail: (why: unknown) => void } }

const failing: GenServer<Messages, null> = {
  init: () => null,
  casts: {
    fail: (_, why) => {
      throw why
    },
  },
}

const a = name<Messages>('a')
const boom = new Error('boom')

const stage = async (options: object = {}, ...children: ChildSpec[]) => {
  const { system, log, settle } = testSystem()
  const child = worker('a', failing, undefined, { name: a })
  const all = children.length > 0 ? children : [child, worker('b', failing, undefined)]
  const spec = supervisor('top', { strategy: 'one_for_all', ...options }, all)
  const root = await startSupervisor(system, spec)
  const fail = async (why: unknown) => {
    cast(system.to(a), 'fail', why)
    await settle()
  }
  /** The lines of supervisors, without those of crashes. */
  const lines = () =>
    log.lines.flatMap(({ level, message, facts }) =>
      message.startsWith('a ended') ? [] : [[level, message, facts]],
    )
  return { system, root, settle, fail, lines }
}

describe('a restart', () => {
  test('by a kill has its reason, its child and how often that has restarted', async () => {
    const { system, root, settle, lines } = await stage()
    for (const restarts of [1, 2]) {
      system.kill(a)
      await settle()
      const facts = { supervisor: root.pid, reason: 'killed', restarts }
      expect(lines().slice(-2)).toEqual([
        ['warn', 'top: a was restarted: killed', { ...facts, id: 'a' }],
        ['warn', 'top: b was restarted with a', { ...facts, id: 'b' }],
      ])
    }
  })

  test('by an error has its text only: the crash has its own line, with the stack', async () => {
    const { root, fail, lines } = await stage()
    await fail(boom)
    const facts = { supervisor: root.pid, reason: 'Error: boom', restarts: 1 }
    expect(lines()).toEqual([
      ['warn', 'top: a was restarted', { ...facts, id: 'a' }],
      ['warn', 'top: b was restarted with a', { ...facts, id: 'b' }],
    ])
  })

  test('by an end that was foreseen has no line', async () => {
    const { fail, lines } = await stage()
    await fail(foreseen(new Error('away')))
    expect(lines()).toEqual([])
  })

  test('by a shutdown has a line, unless its error was foreseen', async () => {
    const ending: GenServer<Messages, null> = {
      ...failing,
      casts: { fail: (state, why) => stop(['shutdown', why], state) },
    }
    const { fail, lines } = await stage({}, worker('a', ending, undefined, { name: a }))
    await fail(foreseen(new Error('the log did not open')))
    expect(lines()).toEqual([])
    await fail(new Error('why'))
    expect(lines()).toMatchObject([['warn', 'top: a was restarted: [shutdown, Error: why]', {}]])
  })
})

describe('a supervisor that gives up', () => {
  test.each([
    [boom, 'Error: boom', 'Error: boom'],
    ['why', '[nocatch, why]', ['nocatch', 'why']],
  ])('says so with the end of its child: %s', async (why, text, reason) => {
    const { root, system, fail, lines } = await stage({ intensity: 0 })
    await fail(why)
    expect(lines()).toEqual([['error', `top gave up: a ended: ${text}`, { id: 'a', reason }]])
    expect(system.info(root)).toBeUndefined()
  })
})

describe('a child that its supervisor ended', () => {
  test('and that ended otherwise has a line with its pid', async () => {
    const angry: GenServer<Messages, null> = {
      ...failing,
      init: (_, context) => {
        context.trapExit(true)
        return null
      },
      terminate: () => Promise.reject('odd'),
    }
    const { system, root, lines } = await stage({}, worker('a', angry, undefined, { name: a }))
    const pid = system.info(a)?.pid
    await stopProcess(root)
    const reason = ['nocatch', 'odd']
    expect(lines()).toEqual([['error', 'a was ended: [nocatch, odd]', { pid, reason }]])
  })
})

describe('a restart that fails', () => {
  const once = (): ChildSpec => {
    let starts = 0
    const init = () => (starts++ === 0 ? null : Promise.reject(boom))
    return worker('a', { ...failing, init }, undefined, { name: a })
  }
  const failed = [
    'error',
    expect.stringMatching(/: a was not started again: Error: boom$/),
    expect.objectContaining({ id: 'a', reason: boom }),
  ]

  test('has a line each time', async () => {
    const { system, settle, lines } = await stage({ intensity: 2 }, once())
    system.kill(a)
    await settle()
    expect(lines().slice(0, 2)).toEqual([failed, failed])
  })

  test('of a dynamic supervisor has one too', async () => {
    const { system, log, settle } = testSystem()
    const crew = await startDynamicSupervisor(system, { intensity: 1 })
    await startDynamicChild(crew, once())
    system.kill(a)
    await settle()
    const [line] = log.lines
    expect([line?.level, line?.message, line?.facts]).toEqual(failed)
  })

  test('has none while the supervisor ends', async () => {
    const { system, root, settle, lines } = await stage({}, once())
    addressOf<Process>(root).process?.requestShutdown()
    system.kill(a)
    await settle()
    expect(lines().filter(([, message]) => String(message).includes('not started'))).toEqual([])
  })
})
