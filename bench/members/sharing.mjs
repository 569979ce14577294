/**
 * Members that share shards, as processes, and what is measured of them, whichever engine keeps their logs: turns of entities at
 * another member beside turns here, and how long callers wait while shards move.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { amount, table } from '../harness/table.mjs'
import { median } from '../wal/turns.mjs'

const program = fileURLToPath(new URL('./folder-member.mjs', import.meta.url))

/** One member, in a process. */
export class Member {
  #number = 0
  #asked = new Map()

  /** `engine`: the names of the members of a folder, or JSON for an engine of several machines. */
  constructor(name, dir, engine, shards) {
    this.name = name
    this.child = fork(program, [name, dir, engine, String(shards)])
    this.began = new Promise((resolve) =>
      this.child.on('message', ({ began, number, value }) => {
        if (began) resolve()
        this.#asked.get(number)?.resolve(value)
      }),
    )
    // A member that is killed has been asked for nothing.
    this.child.once('exit', () => {
      for (const { reject } of this.#asked.values()) reject(new Error(`member ${name} has ended`))
    })
  }

  ask(what, words) {
    const number = ++this.#number
    return new Promise((resolve, reject) => {
      const settled = (settle) => (value) => this.#asked.delete(number) && settle(value)
      this.#asked.set(number, { resolve: settled(resolve), reject: settled(reject) })
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
export const placed = async (members) => {
  let [before, since] = ['', performance.now()]
  while (performance.now() - since < 4_000) {
    await pause(250)
    const now = (await Promise.all(members.map((member) => member.ask('open')))).join(' ')
    if (now !== before) [before, since] = [now, performance.now()]
  }
}

const shown = (value) => (value === undefined ? '' : value.toFixed(3))

/** Turns of entities here and at the other member, in turns. */
export const turnsOf =
  ({ repeats, seconds }) =>
  async ([caller, other]) => {
    const [here, there] = [await caller.ask('open'), await other.ask('open')]
    const results = []
    // Each shard starts threads at its first commit.
    for (const of of [here, there])
      await caller.ask('calls', { what: 'add', payload: 1, of, inFlight: 256, seconds: 1 })
    await pause(5_000)
    for (const [title, what, inFlight] of [
      ['a call, 1 in flight', 'look', 1],
      ['a durable turn, 1 in flight', 'add', 1],
      ['calls, 64 in flight', 'look', 64],
      ['calls, 1,024 in flight', 'look', 1_024],
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
  }

/**
 * How long callers at a member that stays wait while shards move, in ms: of the members the second one closes and comes back. Each
 * counter is called again and again, one call at a time. The longest wait of each while a shard moved is one figure.
 */
export const movesOf =
  ({ moves }) =>
  async (members, start) => {
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
      while ((await again.ask('open')).length < of.length - 2) await pause(250)
    }
    waits.sort((left, right) => left - right)
    const [p50, p99] = [0.5, 0.99].map((part) => waits[Math.ceil(waits.length * part) - 1])
    console.log(
      `A member hands its shards over: callers of ${waits.length} shards wait ${p50.toFixed(0)} ms at the median, ${p99.toFixed(0)} ms at the p99\n`,
    )
    return { p50, p99, waits }
  }
