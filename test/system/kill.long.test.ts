/** Whole-system tests run what users get: the built package, real threads, real files. `npm test` builds first. */
import { isDeepStrictEqual } from 'node:util'
import { start } from 'keelson'
import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../src/clock.ts'
import { childProgram } from '../support/commands/child-program.ts'
import { tempFolder } from '../support/temp-folder.ts'

/** 50 rounds take about a minute: `KEELSON_TIER=all KEELSON_KILL_ROUNDS=50 npx vitest run test/system/kill.long.test.ts`. */
const rounds = Number(process.env.KEELSON_KILL_ROUNDS ?? 8)
const seed = Number(process.env.KEELSON_SEED ?? process.pid)
const [count, writers] = [50_000, 256]

describe('a program that is killed with SIGKILL', () => {
  test(
    `loses no acknowledged key in ${rounds} rounds`,
    async () => {
      const dir = tempFolder()
      const random = seededRandom(seed)
      const ledger = new Map<string, number>()

      for (let round = 0; round < rounds; round++) {
        const killAfter = Math.floor(random() * count * 0.9) + 1
        let acknowledged = 0
        const child = childProgram(
          'ledger-writer.mjs',
          [dir, String(round), String(count), String(writers)],
          (line) => {
            const [at, lsn] = line.split(' ')
            if (lsn === undefined) return
            ledger.set(`round-${round}:${at}`, Number(lsn))
            if (++acknowledged === killAfter) child.process.kill('SIGKILL')
          },
        )
        const end = await child.ended
        expect(end.signal, `seed ${seed}, round ${round}: ${child.stderr()}`).toBe('SIGKILL')

        const app = await start({ dir })
        const lost = [...ledger.keys()].filter((key) => {
          const at = Number(key.slice(key.indexOf(':') + 1))
          const expected = { round: Number(/\d+/.exec(key)?.[0]), at, text: 'x'.repeat(at % 300) }
          return !isDeepStrictEqual(app.store.get(key), expected)
        })
        expect(lost, `seed ${seed}, round ${round}`).toEqual([])
        await app.close()
      }
      expect(ledger.size).toBeGreaterThan(0)
    },
    rounds * 60_000,
  )
})
