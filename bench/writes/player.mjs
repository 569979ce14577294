/**
 * The program that runs one contender in a process of its own. It is told a case, how many calls are in flight, and how long;
 * it answers how many entries were acknowledged meanwhile, having read a sample of them back.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { usage } from '../sporadic/usage.mjs'
import { idle } from './idle.mjs'
import { works as cases, sporadic, verify, verifyCount } from './work.mjs'

const works = { ...cases, sporadic }

const [file, opener, dir, extra] = process.argv.slice(2)
const store = await (await import(file))[opener](dir, extra)
const done = new Map()

const turn = async ({ work: name, inFlight, everyMs = 0, seconds, isWindowed, isProjected }) => {
  const work = works[name]
  const target = isWindowed ? store.windowed : store
  let next = done.get(name) ?? 0
  const first = next
  const began = performance.now()
  const cpu = process.cpuUsage()
  const until = began + seconds * 1_000
  const times = []
  const writer = async () => {
    while (performance.now() < until) await work.run(target, next++)
  }
  const timed = async () => {
    for (let now = began; now < until; ) {
      await work.run(target, next++)
      const after = performance.now()
      times.push(after - now)
      if (everyMs > 0) await sleep(everyMs)
      now = everyMs > 0 ? performance.now() : after
    }
  }
  const others = Array.from({ length: inFlight - 1 }, writer)
  await Promise.all([timed(), ...others])
  if (isProjected) await store.settle()
  const ms = performance.now() - began
  const { user, system } = process.cpuUsage(cpu)
  // The next turn begins with nothing left over.
  await store.settle?.()
  done.set(name, next)
  await verify(work, store, next * work.size)
  const count = (next - first) * work.size
  return { rate: (count * 1_000) / ms, cpu: (user + system) / count, times }
}

const ask = async ({ kind, ...order }) => {
  if (kind === 'turn') return turn(order)
  if (kind === 'idle') return idle(store, order)
  if (kind === 'usage') return usage()
  if (kind === 'count')
    return verifyCount(
      works[order.work],
      store,
      (done.get(order.work) ?? 0) * works[order.work].size,
    )
  await store.close()
}

// One order after another: the next comes when the last was answered.
process.on('message', (order) => {
  ask(order).then(
    (answer) => process.send({ answer }),
    (error) => process.send({ error: String(error?.stack ?? error) }),
  )
})
process.on('disconnect', () => process.exit())
process.send({ answer: 'ready' })
