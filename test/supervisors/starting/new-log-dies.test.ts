/** The first start of a folder, in which the thread that makes the log dies, and then the power goes. */
import { expect, test } from 'vitest'
import { seededRandom } from '../../../src/clock.ts'
import { machine } from '../../support/worlds/simulated-instance.ts'

test('the next start finds the log that keelson.json names, or makes a new one', async () => {
  const random = seededRandom(7)
  const ends = { ready: 0, halted: 0 }
  for (let life = 0; life < 60; life++) {
    const [dies, halts] = [1 + Math.floor(random() * 40), 40 + Math.floor(random() * 80)]
    let threads = 0
    const { disk, start, during } = machine({
      dyingAt: (role) => (role === 'log' && threads++ === 0 ? dies : undefined),
    })
    disk.inject({ at: halts, fault: { kind: 'halt' } })
    const first = await start().catch(() => undefined)
    ends[first ? 'ready' : 'halted']++
    disk.halt()
    if (first) await during(first.close({ deadlineMs: 0 })).catch(() => undefined)
    disk.killProcess()
    disk.crash()
    disk.clearFaults()
    const app = await start().catch((error) => error)
    expect(String(app), `a death at ${dies}, a halt at ${halts}`).not.toMatch(/Error/)
    await during(app.store.put('a', 1))
    await during(app.close())
  }
  expect(Math.min(...Object.values(ends))).toBeGreaterThan(5)
})
