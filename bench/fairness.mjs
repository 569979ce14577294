/**
 * What actors that never rest leave to the rest of the program: how regular a `setInterval` of 10 ms is, and how long an
 * HTTP request to a server in the same process takes, asked from another process.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { fileURLToPath } from 'node:url'
import { isWanted } from './harness/options.mjs'
import { amount, table } from './harness/table.mjs'

export const about =
  'what floods, storms and self-senders leave to timers and HTTP in the same process'

/** The promise: 99 of 100 ticks and requests within this many milliseconds. */
const limitMs = 25

const worlds = {
  calm: 'nothing else happens',
  flood: 'two actors flood each other, 1,000 messages under way',
  'ping-pong': '1,000 actors play ping-pong in pairs',
  'self-senders': '1,000 actors send to themselves',
  slow: '100 actors whose handlers take 1 ms each',
  bursts: 'one actor: 1,000 quick messages, then 64 that take 2 ms each, and again',
  callers: '64 loops of awaited calls',
  storm: 'a supervisor of 100 children that crash as soon as they are up',
}

/** Runs every world and prints a line for each; answers all figures. */
export const run = async (options) => {
  const seconds = options.quick ? 2 : 10
  const results = []
  for (const [world, what] of Object.entries(worlds)) {
    if (isWanted(options.only, world)) results.push({ ...(await observe(world, seconds)), what })
  }
  const head = ['', 'messages/s', 'tick p50', 'p99', 'max', 'HTTP p50', 'p99', 'max', '']
  console.log(
    `${seconds} s each; milliseconds between the ticks of a setInterval of 10 ms, and of a request`,
  )
  console.log(table([head, ...results.map(row)]))
  return results
}

const row = ({ what, rate, ticks, http }) => {
  const isKept = ticks.p99 < limitMs && http.p99 < limitMs
  const cells = [ticks, http].flatMap(({ p50, p99, max }) => [p50, p99, max].map(milliseconds))
  return [what, amount(rate), ...cells, isKept ? 'p99 kept' : `p99 over ${limitMs} ms`]
}

const milliseconds = (value) => value.toFixed(1)

const observe = async (world, seconds) => {
  const program = fileURLToPath(new URL('./contenders/worlds.mjs', import.meta.url))
  const child = fork(program, [world], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  try {
    const [{ port }] = await once(child, 'message')
    const times = await ask(port, seconds)
    child.send('report')
    const [{ gaps, rate }] = await once(child, 'message')
    return { world, rate, ticks: percentiles(gaps), http: percentiles(times) }
  } finally {
    child.kill('SIGKILL')
  }
}

/** One request after another on one connection; answers the milliseconds of each. */
const ask = async (port, seconds) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const times = []
  const end = performance.now() + seconds * 1_000
  for (let began = performance.now(); began < end; began = performance.now()) {
    await request(port, agent)
    times.push(performance.now() - began)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  agent.destroy()
  return times
}

const request = (port, agent) =>
  new Promise((resolve, reject) => {
    const sent = get({ host: '127.0.0.1', port, agent }, (response) => {
      response.resume()
      response.once('end', resolve)
    })
    sent.once('error', reject)
  })

const percentiles = (values) => {
  const sorted = [...values].sort((left, right) => left - right)
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1) }
}
