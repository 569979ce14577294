/**
 * Messages, calls, processes and timers: Keelson, other libraries and the language by itself, doing the same work. Every
 * figure is the median of alternating turns, and counts only when as much was handled as was sent.
 */
import { fileURLToPath } from 'node:url'
import { isWanted } from './harness/options.mjs'
import { installPeers } from './harness/peers.mjs'
import * as race from './harness/race.mjs'
import { amount, report, table } from './harness/table.mjs'

export const about =
  'actors: messages, calls, spawns, restarts, memory, backlog, timers, names; with peers'

const cases = [
  {
    id: 'one-way',
    title: 'One-way messages, in bursts of 1,000',
    unit: 'messages/s',
    step: 10_000,
  },
  { id: 'call-1', title: 'Request and reply, 1 outstanding', unit: 'calls/s', step: 1_000 },
  { id: 'call-64', title: 'Request and reply, 64 outstanding', unit: 'calls/s', step: 6_400 },
  { id: 'spawn', title: 'Spawn and stop, by the thousand', unit: 'processes/s', step: 1_000 },
  {
    id: 'spawn-held',
    title: 'Spawn 100,000 and hold them',
    unit: 'processes/s',
    step: 1_000,
    fixed: 100_000,
    turns: 3,
    isLong: true,
  },
  { id: 'restart', title: 'A child crashes and is restarted', unit: 'restarts/s', step: 100 },
  {
    id: 'idle',
    title: 'An idle process that has handled a message',
    unit: 'bytes',
    measure: 'bytes',
    step: 1_000,
    fixed: 50_000,
    turns: 3,
    isLong: true,
  },
  ...[
    ['10k', 10_000],
    ['100k', 100_000],
    ['1m', 1_000_000],
  ].map(([size, step]) => ({
    id: `backlog-${size}`,
    title: `A backlog of ${step.toLocaleString('en')}, sent and drained`,
    unit: 'messages/s',
    step,
    isLong: step > 100_000,
  })),
  {
    id: 'timers',
    title: 'A timer started and cancelled, 100,000 others live',
    unit: 'timers/s',
    step: 10_000,
  },
  {
    id: 'timer-fire',
    title: '100,000 timers of 1 ms started and fired',
    unit: 'timers/s',
    step: 10_000,
    fixed: 100_000,
  },
  { id: 'names', title: 'A name looked up among 100,000', unit: 'look-ups/s', step: 10_000 },
]

const files = [
  './contenders/keelson.mjs',
  './peers/nact.mjs',
  './peers/comedy.mjs',
  './peers/xstate.mjs',
  './peers/effect.mjs',
  './contenders/language.mjs',
]

/** What BEAM's own gen_server does on the machine of docs/evidence/performance-details.md: OTP 25, one scheduler. */
const beam = { 'one-way': 9_000_000, 'call-64': 1_270_000, spawn: 630_000 }

const loadContenders = async () => {
  const modules = await Promise.all(files.map(async (file) => ({ file, ...(await import(file)) })))
  return modules.flatMap(({ file, contenders }) =>
    contenders.map((contender) => ({
      ...contender,
      file: fileURLToPath(new URL(file, import.meta.url)),
    })),
  )
}

/** Runs every case and prints its table as it is done, then a summary; answers all figures. */
export const run = async (options) => {
  installPeers()
  const contenders = await loadContenders()
  const results = []
  for (const each of cases) {
    if (!isWanted(options.only, each.id)) continue
    const taking = contenders.filter(
      ({ name, cases: able, absent }) =>
        each.id in { ...able, ...absent } && isWanted(options.with, name),
    )
    const outcome = await race.run({ ...each, contenders: taking }, options)
    results.push({ ...each, outcome })
    console.log(report({ ...each, outcome }))
  }
  console.log(summary(results))
  return results
}

const summary = (results) => {
  const peers = new Set(['nact', 'comedy', 'xstate', 'xstate, fromTransition', 'effect'])
  const rows = results.map(({ id, title, unit, measure, outcome }) => {
    const own = outcome.find(({ name }) => name === 'keelson')?.median ?? 0
    const [best] = outcome
      .filter(({ name, absent }) => peers.has(name) && absent === undefined)
      .sort((left, right) => (measure === 'bytes' ? 1 : -1) * (left.median - right.median))
    const rival = best === undefined ? '–' : `${best.name} ${amount(best.median)}`
    return [title, unit, amount(own), rival, id in beam ? amount(beam[id]) : '']
  })
  const head = ['Summary', '', 'keelson', 'best peer', 'gen_server (OTP 25)']
  return table([head, ...rows])
}
