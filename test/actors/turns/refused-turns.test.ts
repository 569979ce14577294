/** A unit that the state refuses takes its turn back. Later turns are handled again, in order. */

import { describe, expect, test } from 'vitest'
import {
  call,
  cast,
  type DurableContext,
  type DurableServer,
  entity,
  type From,
  noReply,
  ok,
  Registry,
  reply,
  stop,
  stopReply,
  supervisor,
} from '../../../src/index.ts'
import { shardOf } from '../../../src/storage/index.ts'
import { codeOf, simulated } from '../../support/worlds/simulated-instance.ts'

type Act = (context: DurableContext<Messages>) => unknown

type Messages = {
  calls: {
    add: (what: string) => string
    act: (act: Act) => string
    end: (what: string) => string
    slow: (ms: number) => string
    keep: () => string
    writeAndEnd: () => string
    endOrStay: () => string
    grow: (act: Act) => string
  }
  casts: {
    add: (what: string) => void
    slow: (ms: number) => void
    spoilOrStop: () => void
    writeAndEnd: () => void
    answer: (act: Act) => void
  }
  continues: { spoil: () => void }
  alarms: { ring: () => void }
}

const key = '{list/1}:key'
/** Two of them are more than a state may have. */
const half = 'x'.repeat(60_000)
const handled: string[] = []
let keptFrom: From<string> | undefined

/** Its state is the list of what was added. `act` may put the key that the test has locked. */
const list: DurableServer<Messages, string> = {
  init: () => '',
  calls: {
    add: (state, what) => reply(state + what, state + what),
    act: async (state, act, context) => {
      await act(context)
      return reply(`${state}!`, `${state}!`)
    },
    keep: (state, _, { from }) => {
      keptFrom = from
      return noReply(state)
    },
    slow: async (state, ms, context) => {
      await new Promise<void>((resolve) => context.system.clock.after(ms, resolve))
      return reply(`${state}?`, `${state}?`)
    },
    end: (state, what) => stopReply('normal', state + what, state + what),
    grow: (state, act, context) => {
      act(context)
      return reply('grown', state + half)
    },
    writeAndEnd: (state, _, context) => {
      context.writes.put(key, 1)
      return stopReply('normal', 'ended', `${state}.`)
    },
    endOrStay: (state) =>
      state.endsWith('!') ? reply('stayed', state) : stopReply('normal', 'ended', `${state}.`),
  },
  casts: {
    answer: (state, act, context) => {
      keptFrom?.reply('kept')
      const more = act(context)
      return noReply(`${state}${typeof more === 'string' ? more : ''}`)
    },
    add: (state, what) => {
      handled.push(what)
      return noReply(state + what)
    },
    slow: async (state, ms, { system }) => {
      await new Promise<void>((resolve) => system.clock.after(ms, resolve))
      return noReply(`${state}?`)
    },
    spoilOrStop: (state) =>
      state.endsWith('!') ? noReply(state, { continue: ['spoil'] }) : stop('normal', state),
    writeAndEnd: (state, _, context) => {
      context.writes.put(key, 1)
      return stop('normal', `${state}.`)
    },
  },
  continues: {
    spoil: (state, _, context) => {
      handled.push('spoil')
      context.writes.put(key, 'step')
      return noReply(`${state}s`)
    },
  },
  alarms: {
    ring: (state) => {
      handled.push('ring')
      return noReply(`${state}r`)
    },
  },
}

const lists = entity('list', list)

const locked = async () => {
  handled.length = 0
  const s = await simulated({ app: supervisor('app', {}, [lists]) })
  const ref = s.app.entity(lists).ref('1')
  await s.during(call(ref, 'add', 'a'))
  await s.during(s.app.store.lock([key], { owner: 'other', leaseMs: 5_000 }))
  const state = () => s.app.entity(lists).state('1')
  return { s, ref, state }
}

const write: Act = (context) => void context.writes.put(key, 1)

describe('a turn whose writes meet a lock', () => {
  test('lets later turns be handled again in order, on the state before it', async () => {
    const { s, ref, state } = await locked()
    const refused = codeOf(call(ref, 'act', write))
    const later = ['b', 'c', 'd'].map((what) => call(ref, 'add', what))
    cast(ref, 'add', 'e')
    expect(await s.during(Promise.all(later))).toEqual(['ab', 'abc', 'abcd'])
    expect(await refused).toBe('LOCKED')
    expect(await s.during(call(ref, 'add', 'f'))).toBe('abcdef')
    expect([state(), handled]).toEqual(['abcdef', ['e', 'e']])
  })

  test('takes nothing of the turns before it', async () => {
    const { s, ref } = await locked()
    const calls = [call(ref, 'add', 'b'), codeOf(call(ref, 'act', write)), call(ref, 'add', 'c')]
    expect(await s.during(Promise.all(calls))).toEqual(['ab', 'LOCKED', 'abc'])
  })

  test('lets a handler that is running be run again', async () => {
    const { s, ref } = await locked()
    s.syncMs = 20
    const refused = codeOf(call(ref, 'act', write))
    let runs = 0
    const slow = call(ref, 'act', () => {
      runs++
      return new Promise<void>((resolve) => s.clock.after(30, resolve))
    })
    expect(await s.during(Promise.all([refused, slow]))).toEqual(['LOCKED', 'a!'])
    expect(runs).toBe(2)
  })

  test('keeps the order of turns that are handled again, also when one more is refused', async () => {
    const { s, ref, state } = await locked()
    s.syncMs = 20
    const refused = [codeOf(call(ref, 'act', write)), codeOf(call(ref, 'act', write))]
    cast(ref, 'slow', 30)
    for (const what of 'bcd') cast(ref, 'add', what)
    expect(await s.during(Promise.all(refused))).toEqual(['LOCKED', 'LOCKED'])
    await s.advance(1_000)
    expect(state()).toBe('a?bcd')
  })

  test('takes back a stop that stood on it, and a throw', async () => {
    const { s, ref, state } = await locked()
    const refused = codeOf(call(ref, 'act', write))
    const ending = call(ref, 'end', 'e')
    expect(await s.during(Promise.all([refused, ending]))).toEqual(['LOCKED', 'ae'])
    let throws = 0
    const again = codeOf(call(ref, 'act', write))
    const thrown = call(ref, 'act', () => {
      if (throws++ === 0) throw new Error('no')
    })
    expect(await s.during(Promise.all([again, thrown]))).toEqual(['LOCKED', 'ae!'])
    expect(state()).toBe('ae!')
  })

  test('takes back its own stop: the actor lives on', async () => {
    const { s, ref } = await locked()
    const holder = s.app.entities.holder('list/1')

    const ended = codeOf(call(ref, 'writeAndEnd'))
    cast(ref, 'writeAndEnd')
    const later = call(ref, 'add', 'b')

    expect(await s.during(Promise.all([ended, later]))).toEqual(['LOCKED', 'ab'])
    expect([holder?.alive, s.app.entities.holder('list/1')]).toEqual([true, holder])
    expect(await s.during(call(ref, 'end', 'c'))).toBe('abc')
  })

  test('fails a write to the store that stood on it', async () => {
    const { s, ref } = await locked()
    const refused = codeOf(call(ref, 'act', write))
    const codes: unknown[] = []
    const asked = call(ref, 'act', async (context) => {
      codes.push(await codeOf(context.app.store.put('other', 1)))
    })
    await s.during(Promise.all([refused, asked]))
    expect(codes).toEqual(['NOT_SUBMITTED', 'ok'])
  })

  test('lets a turn that stops its actor when it is handled again stop it: the step is void', async () => {
    const { s, ref } = await locked()
    const refused = codeOf(call(ref, 'act', write))
    cast(ref, 'spoilOrStop')
    expect(await s.during(refused)).toBe('LOCKED')
    await s.advance(100)
    expect([s.app.entities.holder('list/1'), handled]).toEqual([undefined, []])
  })

  test('lets a call that stops its actor when it is handled again have its answer', async () => {
    const { s, ref, state } = await locked()
    const refused = codeOf(call(ref, 'act', write))
    const ends = call(ref, 'endOrStay')
    const later = codeOf(call(ref, 'add', 'b'))
    expect(await s.during(Promise.all([refused, ends, later]))).toEqual([
      'LOCKED',
      'ended',
      'EXITED',
    ])
    await s.advance(100)
    expect([s.app.entities.holder('list/1'), state()]).toEqual([undefined, 'a.'])
  })

  test('fails a write to the store by code that a later handler has left running', async () => {
    const { s, ref } = await locked()
    s.syncMs = 20
    const refused = codeOf(call(ref, 'act', write))
    const codes: unknown[] = []
    const leaves = call(ref, 'act', ({ app }) => {
      s.clock.after(
        5,
        () => void codeOf(app.store.put('other', 1)).then((code) => codes.push(code)),
      )
    })
    expect(await s.during(Promise.all([refused, leaves]))).toEqual(['LOCKED', 'a!'])
    await s.advance(100)
    expect(codes).toEqual(['NOT_SUBMITTED', 'ok'])
  })

  test('drops the alarm that it set, also one that is due at once', async () => {
    const { s, ref } = await locked()
    const refused = codeOf(
      call(ref, 'act', (context) => {
        context.setAlarm('ring', { inMs: 0 })
        write(context)
      }),
    )
    expect(await s.during(refused)).toBe('LOCKED')
    await s.advance(5_000)
    expect(handled).toEqual([])
  })

  test('leaves an entry in a registry, which took effect at once', async () => {
    const { s, ref } = await locked()
    const entries = () => Registry.lookup(s.app.registry, 'list').map(({ value }) => value)
    const refused = codeOf(
      call(ref, 'act', (context) => {
        Registry.register(context, context.app.registry, 'list', 'one')
        write(context)
      }),
    )
    await s.settle()
    expect(entries()).toEqual(['one'])
    expect(await s.during(refused)).toBe('LOCKED')
    expect(entries()).toEqual(['one'])
    s.system.kill(ref)
    await s.advance(100)
    expect(entries()).toEqual([])
  })

  test('leaves a call whose caller has gone alone', async () => {
    const { s, ref, state } = await locked()
    s.syncMs = 20
    const refused = codeOf(call(ref, 'act', write))
    const gone = codeOf(call(ref, 'add', 'g', { timeoutMs: 5 }))
    expect(await s.during(Promise.all([refused, gone]))).toEqual(['LOCKED', 'UNKNOWN_OUTCOME'])
    expect(await s.during(call(ref, 'add', 'b'))).toBe('ab')
    expect(state()).toBe('ab')
  })

  test('settles the calls behind it when the process has been killed meanwhile, and logs the casts', async () => {
    const { s, ref, state } = await locked()
    s.syncMs = 20
    const calls = [
      codeOf(call(ref, 'act', write, { timeoutMs: Number.POSITIVE_INFINITY })),
      codeOf(call(ref, 'add', 'b', { timeoutMs: Number.POSITIVE_INFINITY })),
    ]
    cast(ref, 'add', 'c')
    await s.settle()
    s.system.kill(ref)
    expect(await s.during(Promise.all(calls))).toEqual(['LOCKED', 'EXITED'])
    expect(state()).toBe('a')
    const refused = s.log.lines.filter(({ message }) => message.includes('was refused'))
    expect(refused.map(({ message }) => message.split(' was ')[0])).toEqual(['list/1: cast add'])
  })
})

test('an actor whose first turn meets a lock ends, and is born when it is called again', async () => {
  const born: DurableServer<Messages, string> = {
    ...list,
    init: (_, context) => {
      context.writes.put(key, 'born')
      return ok('born ')
    },
  }
  const kind = entity('born', born)
  const s = await simulated({ app: supervisor('app', {}, [kind]) })
  await s.during(s.app.store.lock([key], { owner: 'other', leaseMs: 5_000 }))
  const ref = s.app.entity(kind).ref('1')
  expect(await s.during(codeOf(call(ref, 'add', 'a')))).toBe('EXITED')
  await s.advance(10_000)
  expect(await s.during(call(ref, 'add', 'b'))).toBe('born b')
  expect(s.app.store.get(key)).toBe('born')
})

describe('a turn that no log can take', () => {
  test('is refused with TOO_LARGE, and the actor lives', async () => {
    const { s, ref } = await locked()
    const large: Act = (context) => {
      for (let at = 0; at < 8; at++) context.writes.put(`{list/1}:${at}`, 'x'.repeat(60_000))
    }
    const refused = codeOf(call(ref, 'act', large))
    const later = call(ref, 'add', 'b')
    expect(await s.during(Promise.all([refused, later]))).toEqual(['TOO_LARGE', 'ab'])
    const state = codeOf(call(ref, 'add', 'x'.repeat(200_000)))
    expect(await s.during(state)).toBe('TOO_LARGE')
    expect(await s.during(call(ref, 'add', 'c'))).toBe('abc')
  })
})

test('a turn that writes a key of another shard is CROSS_SHARD, which names it', async () => {
  const s = await simulated({ app: supervisor('app', {}, [lists]), shards: 2 })
  const ref = s.app.entity(lists).ref('1')
  const keys = Array.from({ length: 16 }, (_, at) => `key ${at}`)
  const foreign = keys.find((each) => shardOf(each, 2) !== shardOf(key, 2))
  const act: Act = (context) => void context.writes.put(foreign as string, 1)
  await expect(s.during(call(ref, 'act', act))).rejects.toMatchObject({
    code: 'CROSS_SHARD',
    details: { keys: [foreign], entity: 'list/1' },
  })
  expect(await s.during(call(ref, 'add', 'b'))).toBe('b')
})

describe('a call with an id', () => {
  test('is remembered although its caller stopped waiting while it was handled', async () => {
    const { s, ref, state } = await locked()
    const options = { id: 'one', timeoutMs: 10 }
    expect(await s.during(codeOf(call(ref, 'slow', 50, options)))).toBe('TIMEOUT')
    await s.advance(100)
    expect(state()).toBe('a?')
    expect(await s.during(call(ref, 'slow', 50, options))).toBe('a?')
    expect(state()).toBe('a?')
  })
})

describe('what stood on a refused turn, and is no turn that changes anything,', () => {
  test('is handled again: the repeat of a call with an id', async () => {
    const { s, ref } = await locked()
    expect(await s.during(call(ref, 'add', 'b', { id: 'one' }))).toBe('ab')
    const refused = codeOf(call(ref, 'act', write))
    const repeat = call(ref, 'add', 'b', { id: 'one', timeoutMs: Number.POSITIVE_INFINITY })
    expect(await s.during(Promise.all([refused, repeat]))).toEqual(['LOCKED', 'ab'])
  })

  test('is handled again: a turn that was too large', async () => {
    const { s, ref } = await locked()
    const refused = codeOf(call(ref, 'act', write))
    const large = codeOf(
      call(ref, 'add', 'x'.repeat(200_000), { timeoutMs: Number.POSITIVE_INFINITY }),
    )
    expect(await s.during(Promise.all([refused, large]))).toEqual(['LOCKED', 'TOO_LARGE'])
  })

  test('fails: an answer that was given outside of handlers', async () => {
    const { s, ref } = await locked()
    const kept = codeOf(call(ref, 'keep', undefined, { timeoutMs: Number.POSITIVE_INFINITY }))
    await s.settle()
    const refused = codeOf(call(ref, 'act', write))
    await s.settle()
    keptFrom?.reply('late')
    expect(await s.during(Promise.all([refused, kept]))).toEqual(['LOCKED', 'NOT_SUBMITTED'])
  })
})

describe('a call that a handler has kept', () => {
  const endless = { timeoutMs: Number.POSITIVE_INFINITY }

  test.each<[string, Act, string]>([
    ['meets a lock', (context) => context.writes.put(key, 1), 'LOCKED'],
    ['is too large', () => half + half, 'TOO_LARGE'],
  ])('gets the refusal of the message that answered it: one that %s', async (_, act, code) => {
    const { s, ref } = await locked()
    const kept = codeOf(call(ref, 'keep', undefined, endless))
    await s.settle()

    cast(ref, 'answer', act)

    expect(await s.during(kept)).toBe(code)
    expect(await s.during(call(ref, 'add', 'b'))).toBe('ab')
  })

  test('has its answer from a message that is handled again', async () => {
    const { s, ref } = await locked()
    const kept = call(ref, 'keep', undefined, endless)
    await s.settle()
    const refused = codeOf(call(ref, 'act', write))
    cast(ref, 'answer', () => 'c')

    expect(await s.during(Promise.all([refused, kept]))).toEqual(['LOCKED', 'kept'])
    expect(await s.during(call(ref, 'add', 'b'))).toBe('acb')
  })

  test('has the refusal of a message that was too large only after an earlier turn is durable', async () => {
    const { s, ref } = await locked()
    const kept = call(ref, 'keep', undefined, endless)
    await s.settle()
    const refused = codeOf(call(ref, 'grow', write))
    cast(ref, 'answer', () => half)

    expect(await s.during(Promise.all([refused, kept]))).toEqual(['LOCKED', 'kept'])
  })
})
