/**
 * The floors of the gate: work that has nothing of Keelson and costs CPU of the same kind, so that a figure of Keelson divided by it
 * says as much on another machine. It takes orders as the player of Keelson does.
 */
import { mkdirSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'

const [, dir] = process.argv.slice(2)
mkdirSync(dir, { recursive: true })
const file = await open(join(dir, 'floor'), 'a')
const bytes = Buffer.alloc(128, 7)

/** Objects in a Map, and a promise for each: what V8 is given by any program of actors. */
const objects = async (until) => {
  const map = new Map()
  let count = 0
  while (performance.now() < until)
    for (let at = 0; at < 1_000; at++) {
      const key = `key-${at & 255}`
      const value = await { number: count++, before: map.get(key)?.number }
      map.set(key, value)
    }
  return count
}

/** 128 bytes, written and synced, one after another. */
const synced = async (until) => {
  let count = 0
  for (; performance.now() < until; count++) {
    await file.write(bytes)
    await file.datasync()
  }
  return count
}

const floors = { objects, synced }

process.on('message', async ({ kind, seconds }) => {
  if (kind === 'close') {
    await file.close()
    process.send({ answer: 'closed' })
    return
  }
  const cpu = process.cpuUsage()
  const began = performance.now()
  const count = await floors[kind](began + seconds * 1_000)
  const ms = performance.now() - began
  const { user, system } = process.cpuUsage(cpu)
  process.send({ answer: { rate: (count * 1_000) / ms, cpu: (user + system) / count } })
})
process.send({ answer: 'ready' })
