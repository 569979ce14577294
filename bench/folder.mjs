/**
 * Members that share a folder: turns of entities at the other member beside turns here, handlers that need CPU with one and
 * with two members, what four members cost that have nothing to do, how long callers wait while shards move, and how soon the
 * shards of a killed member answer again.
 * All members and callers share the cores of one machine.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { isWanted } from './harness/options.mjs'
import { amount } from './harness/table.mjs'
import { Member, movesOf, placed, turnsOf } from './members/sharing.mjs'
import { median } from './wal/turns.mjs'

export const about =
  'members that share a folder: turns elsewhere, idle cost, moving shards, a killed member'

/** Members in a folder of their own, for `use`. Without names one process without members. */
const withMembers = async (names, shards, use) => {
  const dir = join(mkdtempSync(join(tmpdir(), 'keelson-bench-')), 'd')
  const start = (name) => new Member(name, dir, names.join(), shards)
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

const cases = {
  turns: (how) => withMembers(['a', 'b'], 16, turnsOf(how)),
  work: workOf,
  idle: idleOf,
  moves: (how) => withMembers(['a', 'b'], 16, movesOf(how)),
  kills: killsOf,
}

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
