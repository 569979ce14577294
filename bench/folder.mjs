/**
 * Members that share a folder: turns of entities at the other member beside turns here, handlers that need CPU with one and
 * with two members, what four members cost that have nothing to do, how long callers wait while shards move, and how soon the
 * shards of a killed member answer again.
 * All members and callers share the cores of one machine.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isWanted } from './harness/options.mjs'
import { amount, table } from './harness/table.mjs'
import { median } from './wal/turns.mjs'

export const about =
  'members that share a folder: turns elsewhere, idle cost, moving shards, a killed member'

const program = fileURLToPath(new URL('./members/folder-member.mjs', import.meta.url))

class Member {
  #number = 0
  #asked = new Map()

  constructor(name, dir, names, shards) {
    this.name = name
    this.child = fork(program, [name, dir, names.join(), String(shards)])
    this.began = new Promise((resolve) =>
      this.child.on('message', ({ began, number, value }) => {
        if (began) resolve()
        this.#asked.get(number)?.(value)
      }),
    )
  }

  ask(what, words) {
    const number = ++this.#number
    return new Promise((resolve) => {
      this.#asked.set(number, resolve)
      this.child.send({ number, what, words })
    })
  }

  async kill() {
    const ended = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await ended
  }
}

/** Waits until no shard has moved for four seconds: the first member opens all shards, and gives them away one by one. */
const placed = async (members) => {
  let [before, since] = ['', performance.now()]
  while (performance.now() - since < 4_000) {
    await pause(250)
    const now = (await Promise.all(members.map((member) => member.ask('open')))).join(' ')
    if (now !== before) [before, since] = [now, performance.now()]
  }
}

/** Members in a folder of their own, for `use`. Without names one process without members. */
const withMembers = async (names, shards, use) => {
  const dir = join(mkdtempSync(join(tmpdir(), 'keelson-bench-')), 'd')
  const start = (name) => new Member(name, dir, names, shards)
  const members = (names.length > 0 ? names : ['alone']).map(start)
  try {
    await Promise.all(members.map(({ began }) => began))
    await placed(members)
    return await use(members, start)
  } finally {
    for (const { child } of members) child.kill('SIGKILL')
    rmSync(join(dir, '..'), { recursive: true, force: true })
  }
}

const shown = (value) => (value === undefined ? '' : value.toFixed(3))

/** Turns of entities here and at the other member, in turns. */
const turnsOf = ({ repeats, seconds }) =>
  withMembers(['a', 'b'], 16, async ([caller, other]) => {
    const [here, there] = [await caller.ask('open'), await other.ask('open')]
    const results = []
    for (const [title, what, inFlight] of [
      ['a call, 1 in flight', 'look', 1],
      ['a durable turn, 1 in flight', 'add', 1],
      ['durable turns, 64 in flight', 'add', 64],
      ['durable turns, 1,024 in flight', 'add', 1_024],
    ]) {
      const figures = { here: [], there: [] }
      for (let at = 0; at <= repeats; at++)
        for (const [label, of] of [
          ['here', here],
          ['there', there],
        ]) {
          const before = await other.ask('cpu')
          const figure = await caller.ask('calls', { what, payload: 1, of, inFlight, seconds })
          figure.owner = (((await other.ask('cpu')) - before) / (figure.rate * seconds)) * 1_000
          // The first turn only warms up.
          if (at > 0) figures[label].push(figure)
        }
      const part = (label, key) => median(figures[label].map((figure) => figure[key] ?? 0))
      for (const label of ['here', 'there']) {
        const [rate, p50, cpu, owner] = ['rate', 'p50', 'cpu', 'owner'].map((key) =>
          part(label, key),
        )
        results.push({ title, label, rate, p50, cpu, owner })
      }
    }
    console.log(
      table([
        ['', '', 'turns/s', 'p50 ms', 'µs of CPU here', 'and there'],
        ...results.map(({ title, label, rate, p50, cpu, owner }) => [
          ...[title, label === 'here' ? 'here' : 'at the other member'],
          ...[amount(rate), shown(p50 || undefined), cpu.toFixed(1), owner.toFixed(1)],
        ]),
      ]),
      '\n',
    )
    return results
  })

/** Handlers with 0.2 ms of CPU, 1,024 calls in flight in all: one process, and two members with half of the callers each. */
const workOf = async ({ repeats, seconds }) => {
  const rateOf = (names) =>
    withMembers(names, 16, async (members) => {
      const rates = []
      for (let at = 0; at <= repeats; at++) {
        const inFlight = 1_024 / members.length
        const words = { what: 'work', payload: 0.2, inFlight, seconds }
        const figures = await Promise.all(members.map((member) => member.ask('calls', words)))
        if (at > 0) rates.push(figures.reduce((sum, { rate }) => sum + rate, 0))
      }
      return median(rates)
    })
  const [one, two] = [await rateOf([]), await rateOf(['a', 'b'])]
  console.log(
    `Handlers with 0.2 ms of CPU, 1,024 in flight: ${amount(one)}/s in one process, ${amount(two)}/s at two members, ${(two / one).toFixed(2)} times\n`,
  )
  return { one, two }
}

/** The CPU of four members with 64 shards that have nothing to do, in percent of a core. */
const idleOf = ({ idleMs }) =>
  withMembers(['a', 'b', 'c', 'd'], 64, async (members) => {
    const cpu = async () =>
      (await Promise.all(members.map((member) => member.ask('cpu')))).reduce((sum, ms) => sum + ms)
    const before = await cpu()
    await pause(idleMs)
    const percent = (100 * ((await cpu()) - before)) / idleMs
    console.log(`Four members, 64 shards, idle for ${idleMs / 1_000} s: ${percent.toFixed(2)} %\n`)
    return { percent }
  })

/**
 * How long callers at a member that stays wait while shards move, in ms: two members, of which one closes and comes back. Each
 * counter is called again and again, one call at a time. The longest wait of each while a shard moved is one figure.
 */
const movesOf = ({ moves }) =>
  withMembers(['a', 'b'], 16, async (members, start) => {
    const [caller] = members
    const waits = []
    for (let at = 0; at < moves; at++) {
      const mover = members[1]
      const of = await mover.ask('open')
      const watched = caller.ask('waits', { of, seconds: 6 })
      await pause(500)
      await mover.ask('close')
      waits.push(...(await watched))
      const again = start(mover.name)
      members[1] = again
      await again.began
      while ((await again.ask('open')).length < 6) await pause(250)
    }
    waits.sort((left, right) => left - right)
    const [p50, p99] = [0.5, 0.99].map((part) => waits[Math.ceil(waits.length * part) - 1])
    console.log(
      `A member hands its shards over: callers of ${waits.length} shards wait ${p50.toFixed(0)} ms at the median, ${p99.toFixed(0)} ms at the p99\n`,
    )
    return { p50, p99, waits }
  })

/** From the end of one of four members until a counter in each of its shards has answered to another member. */
const killsOf = ({ kills, megabytes }) =>
  withMembers(['a', 'b', 'c', 'd'], 64, async (members, start) => {
    await members[0].ask('put', { count: megabytes * 16, bytes: 64 * 1024 })
    const times = []
    for (let at = 0; at < kills; at++) {
      const [killed] = members.splice(at % 4, 1)
      const of = await killed.ask('open')
      await killed.kill()
      times.push(await members[0].ask('answers', { of }))
      const again = start(killed.name)
      members.splice(at % 4, 0, again)
      await again.began
      // It gets its shards again.
      while ((await again.ask('open')).length < 8) await pause(250)
    }
    times.sort((left, right) => left - right)
    const [p50, p99] = [0.5, 0.99].map((part) => times[Math.ceil(kills * part) - 1])
    console.log(
      `One of four members killed, ${megabytes} MB in the folder: its shards answer after ${p50.toFixed(0)} ms at the median of ${kills} kills, ${p99.toFixed(0)} ms at the p99\n`,
    )
    return { p50, p99, times }
  })

const cases = { turns: turnsOf, work: workOf, idle: idleOf, moves: movesOf, kills: killsOf }

export const run = async ({ quick, only, repeats = quick ? 3 : 5 }) => {
  const how = {
    ...{ repeats, seconds: quick ? 0.5 : 2, idleMs: quick ? 10_000 : 60_000 },
    moves: quick ? 2 : 10,
    ...{ kills: quick ? 4 : 20, megabytes: quick ? 32 : 1_024 },
  }
  const results = []
  for (const [title, measure] of Object.entries(cases))
    if (isWanted(only, title)) results.push({ title, figures: await measure(how) })
  return results
}
