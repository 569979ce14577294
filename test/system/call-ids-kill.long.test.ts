/** Calls with an id to an entity of the built package, under SIGKILL. */
import { expect, test } from 'vitest'
import { seededRandom } from '../../src/clock.ts'
import { childProgram } from '../support/commands/child-program.ts'
import { tempFolder } from '../support/temp-folder.ts'

const rounds = Number(process.env.KEELSON_KILL_ROUNDS ?? 8)
const seed = Number(process.env.KEELSON_SEED ?? process.pid)
const count = 2_000

test(
  `a call with an id is handled once and answered alike over ${rounds} kills`,
  async () => {
    const dir = tempFolder()
    const random = seededRandom(seed)
    const answers = new Map<string, string>()
    const changed: string[] = []

    for (let round = 0; round <= rounds; round++) {
      const killAfter = round < rounds ? Math.floor(random() * count * 0.9) + 1 : count + 2
      let answered = 0
      const child = childProgram('numbered-calls.mjs', [dir, String(count)], (line) => {
        const [id = '', answer = ''] = line.split(' ')
        if ((answers.get(id) ?? answer) !== answer) changed.push(line)
        answers.set(id, answer)
        if (++answered === killAfter) child.process.kill('SIGKILL')
      })
      const end = await child.ended
      const expected =
        round < rounds ? { code: null, signal: 'SIGKILL' } : { code: 0, signal: null }
      expect(end, `seed ${seed}, round ${round}: ${child.stderr()}`).toEqual(expected)
    }

    expect(changed, `seed ${seed}`).toEqual([])
    // Each id was handled once: the replies are the numbers up to the total.
    expect(answers.get('total')).toBe(String(count))
    expect(new Set(answers.values()).size).toBe(count)
  },
  (rounds + 1) * 60_000,
)
