// Makes and ends a great many of everything that the runtime keeps while it lives, and reports on pipe 3, as one line
// of JSON for each kind, how many bytes one of them left in the heap. Argument: how many of each kind.
// Uses the public API only, as built. All of it happens around processes that live on, because what is forgotten there is what a service dies of.
import { setMaxListeners } from 'node:events'
import { writeSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { call, cast, noReply, Pool, pg, reply, Table } from 'keelson'
import { testSystem } from 'keelson/testing'

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc')

const count = Number(process.argv[2])
const slice = 1_000

/** A server that does what it is told with its own context. */
const server = {
  init: () => null,
  calls: {
    run: async (state, work, context) => reply(await work(context), state),
    echo: (state, value) => reply(value, state),
    never: (state) => noReply(state),
  },
  casts: { run: (state, work, context) => noReply(work(context) ?? state) },
  infos: { tick: (state) => noReply(state) },
  down: (state) => noReply(state),
  exit: (state) => noReply(state),
}

const { system, clock } = testSystem()
const keeper = await system.start(server)
const keep = (work) => call(keeper, 'run', work, { timeoutMs: Number.POSITIVE_INFINITY })
await keep((context) => context.trapExit(true))

const each = (length, make) => Array.from({ length }, (_, index) => make(index))
const codes = async (calls, code) => {
  for (const outcome of await Promise.allSettled(calls)) {
    if (outcome.reason?.code !== code) throw new Error(`expected ${code}`)
  }
}
const startMany = (length) => Promise.all(each(length, () => system.start(server)))
const killAll = (refs) => {
  for (const ref of refs) system.kill(ref)
}

// Each makes `length` of its kind and ends them all.
const kinds = {
  'bare processes': async (length) => {
    each(length, () => system.spawn(() => {}))
    await clock.settle()
  },
  'servers started and stopped': async (length) => killAll(await startMany(length)),
  'servers with a name': async (length) => {
    killAll(
      await Promise.all(each(length, (n) => system.start(server, undefined, { name: `n${n}` }))),
    )
  },
  'names taken and given back': (length) =>
    keep((context) => {
      for (let index = 0; index < length; index++) {
        context.register(`name${index}`)
        context.unregister(`name${index}`)
      }
    }),
  'linked processes that ended': async (length) => {
    await keep((context) => {
      each(length, () => context.spawnLink(() => {}))
    })
    await clock.settle()
  },
  'links taken back': async (length) => {
    const others = await startMany(length)
    await keep((context) => {
      for (const other of others) {
        context.link(other)
        context.unlink(other)
      }
    })
    killAll(others)
  },
  'monitors that fired': async (length) => {
    const others = await startMany(length)
    await keep((context) => {
      for (const other of others) context.monitor(other)
    })
    killAll(others)
    await clock.settle()
  },
  'monitors taken back': (length) =>
    keep((context) => {
      const other = system.to('other')
      for (let index = 0; index < length; index++) context.demonitor(context.monitor(other))
    }),
  'monitors of code outside': async (length) => {
    for (const end of each(length, () => system.monitor('other', () => {}))) end()
  },
  'timers that fired': async (length) => {
    await keep((context) => {
      each(length, (index) => context.sendAfter(index % 7, 'tick'))
    })
    await clock.advance(7)
  },
  'timers taken back': (length) =>
    keep((context) => {
      for (const timer of each(length, (index) => context.sendAfter(1_000 + index, 'tick'))) {
        context.cancelTimer(timer)
      }
    }),
  'timers of processes that ended': async (length) => {
    const others = await startMany(length)
    for (const other of others)
      cast(other, 'run', (context) => void context.sendAfter(9_999, 'tick'))
    await clock.settle()
    killAll(others)
  },
  'calls answered': (length) =>
    keep((context) => {
      const other = context.to('other')
      return Promise.all(each(length, (index) => call(other, 'echo', index)))
    }),
  'calls that timed out': (length) =>
    keep(async (context) => {
      const other = context.to('other')
      const calls = each(length, () => call(other, 'never', undefined, { timeoutMs: 5 }))
      const settled = codes(calls, 'TIMEOUT')
      void clock.advance(5)
      await settled
    }),
  'calls whose target ended': (length) =>
    keep(async (context) => {
      const target = await system.start(server)
      const asked = context.to(target)
      const settled = codes(
        each(length, () => call(asked, 'never')),
        'EXITED',
      )
      system.kill(target)
      await settled
    }),
  'calls whose caller ended': async (length) => {
    const callers = await startMany(length)
    const ask = (context) => void call(context.to('other'), 'never').catch(() => {})
    for (const caller of callers) cast(caller, 'run', ask)
    await clock.settle()
    killAll(callers)
  },
  'calls that waited for a name in vain': (length) =>
    keep(async (context) => {
      const settled = codes(
        each(length, (n) =>
          call(context.to(`nobody${n}`), 'never', undefined, { timeoutMs: 5, waitForName: true }),
        ),
        'NO_PROCESS',
      )
      void clock.advance(5)
      await settled
    }),
  'calls answered that a signal could have ended': async (length) => {
    const { signal } = new AbortController()
    setMaxListeners(0, signal)
    const other = system.to('other')
    await Promise.all(each(length, (index) => call(other, 'echo', index, { signal })))
  },
  'members of groups that ended': async (length) => {
    const others = await startMany(length)
    others.forEach((other, n) => {
      pg.join(system, 'crowd', [other, other])
      pg.join(system, `group${n}`, other)
    })
    killAll(others)
  },
  'watches of groups': async (length) => {
    await keep((context) => {
      for (let index = 0; index < length; index++)
        pg.demonitor(context, pg.monitor(context, `group${index}`).monitor)
    })
  },
  'tables whose owner ended': async (length) => {
    const others = await startMany(length)
    const open = (context) => Table.create(context, { name: `t${context.self.pid}` })
    await Promise.all(
      others.map((other) => call(other, 'run', (context) => open(context).insert(context, 1, 1))),
    )
    killAll(others)
  },
  'workers of a pool checked out and in': (length) =>
    keep((context) => {
      const pool = context.to('pool')
      return Promise.all(each(length, () => Pool.transaction(pool, () => undefined)))
    }),
}

const heap = async () => {
  await clock.settle()
  gc()
  gc()
  return process.memoryUsage().heapUsed
}

const make = async (kind, total) => {
  for (let done = 0; done < total; done += slice) await kinds[kind](slice)
}

await system.start(server, undefined, { name: 'other' })
await Pool.start(system, { server, size: 1, name: 'pool' })
for (const kind of Object.keys(kinds)) {
  // The first slices compile the code and let tables and rings grow to the size that they keep.
  await make(kind, 3 * slice)
  const before = await heap()
  await make(kind, count)
  const left = (await heap()) - before
  writeSync(3, `${JSON.stringify({ kind, count, bytesEach: left / count })}\n`)
}
// The keeper and its partner; the pool with its supervisor and its worker.
process.exit(system.processes().length === 5 ? 0 : 1)
